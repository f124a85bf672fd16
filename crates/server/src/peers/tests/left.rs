//! Nodes that are peers no more.

use super::*;

#[tokio::test]
async fn a_node_that_was_unregistered_is_dialled_no_longer_and_what_it_dialled_is_closed() {
    let (listener_1, address) = listener();
    let (listener_4, address_4) = listener();
    let addresses = BTreeMap::from([(NodeId(1), address)]);
    let cluster = Some(formed(&[1]));
    let mut first = Node::start(1, Uuid([1; 16]), cluster, &addresses, listener_1);
    let home = Home {
        address: address_4.to_string(),
        directory: Uuid([4; 16]),
        release: "1".to_owned(),
        generation: 1,
    };
    let mut image = meta::Image::default();
    image.homes.insert(NodeId(4), Arc::new(home));
    image.generations.insert(NodeId(4), 1);
    first.peers.meet(&Arc::new(image.clone()));
    let (mut from_1, _) = listener_4.accept().await.expect("node 1 dials");
    answer(&mut from_1, 4).await;
    first.hears(News::Up(NodeId(4))).await;
    let card = Card::new(NodeId(4), Uuid([4; 16]), Some(Uuid([9; 16])));
    let mut to_1 = TcpStream::connect(address).await.expect("listening");
    let hello = Message::Hello { card, to: 1 };
    hello::write(&mut to_1, &hello).await.expect("sent");
    hello::read(&mut to_1).await.expect("welcome");

    image.homes.clear();
    first.peers.meet(&Arc::new(image));
    first.hears(News::Down(NodeId(4))).await;
    for stream in [&mut from_1, &mut to_1] {
        let end = tokio::io::AsyncReadExt::read_u8(stream).await;
        assert!(end.is_err(), "the connection is closed");
    }
    let Message::Refused { reason } = say(
        address,
        Card::new(NodeId(4), Uuid([4; 16]), Some(Uuid([9; 16]))),
        1,
    )
    .await
    else {
        panic!("it is let in");
    };
    assert!(reason.contains("has unregistered node 4"), "{reason}");
}

/// A lost node that was given up and one that came in its place may be told in one image, and the lost one may
/// live all the same: nobody speaks with it any more, and the new one is dialled where it lives.
#[tokio::test]
async fn a_number_that_was_given_to_another_directory_is_spoken_with_there_only() {
    let (listener_1, address) = listener();
    let (lost, lost_address) = listener();
    let (new, new_address) = listener();
    let addresses = BTreeMap::from([(NodeId(1), address), (NodeId(2), lost_address)]);
    let cluster = Some(formed(&[1, 2]));
    let mut first = Node::start(1, Uuid([1; 16]), cluster, &addresses, listener_1);
    let (mut to_lost, _) = lost.accept().await.expect("node 1 dials");
    answer(&mut to_lost, 2).await;
    first.hears(News::Up(NodeId(2))).await;
    let card = Card::new(NodeId(2), Uuid([2; 16]), Some(Uuid([9; 16])));
    let mut from_lost = TcpStream::connect(address).await.expect("listening");
    let hello = Message::Hello { card, to: 1 };
    hello::write(&mut from_lost, &hello).await.expect("sent");
    hello::read(&mut from_lost).await.expect("welcome");

    let home = Home {
        address: new_address.to_string(),
        directory: Uuid([22; 16]),
        release: "1".to_owned(),
        generation: 1,
    };
    let mut image = meta::Image::default();
    image.homes.insert(NodeId(2), Arc::new(home));
    image.generations.insert(NodeId(2), 1);
    first.peers.meet(&Arc::new(image));
    first.hears(News::Down(NodeId(2))).await;
    for stream in [&mut to_lost, &mut from_lost] {
        let end = tokio::io::AsyncReadExt::read_u8(stream).await;
        assert!(end.is_err(), "the connection is closed");
    }
    let (mut to_new, _) = new.accept().await.expect("node 1 dials");
    hello::read(&mut to_new).await.expect("a hello");
    let card = Card {
        generation: 1,
        ..Card::new(NodeId(2), Uuid([22; 16]), Some(Uuid([9; 16])))
    };
    let welcome = Message::Welcome { card };
    hello::write(&mut to_new, &welcome).await.expect("sent");
    first.hears(News::Up(NodeId(2))).await;
}
