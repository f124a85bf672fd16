"""As much of the Kafka protocol as the dialogues need: fields, and one request per connection."""

import socket
import struct


class Writer:
    """Appends fields; `flexible` is the encoding with varint lengths."""

    def __init__(self, flexible=False):
        self.bytes = bytearray()
        self.flexible = flexible

    def number(self, form, value):
        self.bytes += struct.pack(">" + form, value)
        return self

    def i8(self, value):
        return self.number("b", value)

    def i16(self, value):
        return self.number("h", value)

    def i32(self, value):
        return self.number("i", value)

    def i64(self, value):
        return self.number("q", value)

    def varint(self, value):
        while value >= 128:
            self.bytes.append(value & 127 | 128)
            value >>= 7
        self.bytes.append(value)
        return self

    def text(self, value):
        raw = None if value is None else value.encode()
        if self.flexible:
            self.varint(0 if raw is None else len(raw) + 1)
        else:
            self.i16(-1 if raw is None else len(raw))
        self.bytes += raw or b""
        return self

    def data(self, value):
        self.count(len(value))
        self.bytes += value
        return self

    def count(self, length):
        return self.varint(length + 1) if self.flexible else self.i32(length)

    def end(self):
        """The end of a structure."""
        if self.flexible:
            self.bytes.append(0)
        return self


class Reader:
    """Takes fields off."""

    def __init__(self, raw, flexible=False):
        self.raw = raw
        self.at = 0
        self.flexible = flexible

    def take(self, length):
        self.at += length
        return self.raw[self.at - length : self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))[0]

    def i8(self):
        return self.number("b")

    def i16(self):
        return self.number("h")

    def i32(self):
        return self.number("i")

    def i64(self):
        return self.number("q")

    def varint(self):
        value = shift = 0
        while True:
            byte = self.i8() & 255
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def text(self):
        length = self.varint() - 1 if self.flexible else self.i16()
        return None if length < 0 else self.take(length).decode()

    def data(self):
        return self.take(max(self.count(), 0))

    def count(self):
        return self.varint() - 1 if self.flexible else self.i32()

    def end(self):
        if self.flexible:
            for _ in range(self.varint()):
                self.varint()
                self.take(self.varint())

    def items(self, read):
        """An array whose items `read` takes; each ends here."""
        items = []
        for _ in range(self.count()):
            items.append(read(self))
            self.end()
        return items


def ask(address, api, version, body, client="dialogue"):
    """Sends one request on a connection of its own; a reader at the answer's first field."""
    head = Writer().i16(api).i16(version).i32(1).text(client)
    if body.flexible:
        head.end().bytes.append(0)
    request = bytes(head.bytes) + bytes(body.bytes)
    with socket.create_connection(address) as stream:
        stream.sendall(struct.pack(">i", len(request)) + request)
        reply = Reader(read(stream, struct.unpack(">i", read(stream, 4))[0]), body.flexible)
    reply.i32()
    reply.end()
    return reply


def read(stream, length):
    raw = b""
    while len(raw) < length:
        more = stream.recv(length - len(raw))
        if not more:
            raise EOFError("the broker closed the connection")
        raw += more
    return raw
