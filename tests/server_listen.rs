//! Addresses that a server cannot listen on: the error names the address and says what to do.

use std::io::ErrorKind;
use std::os::unix::net::UnixListener;

use fastrpc::{Server, ServerOptions};

const WORKERS: usize = 1;

mod common;

#[track_caller]
fn assert_refused(server: &Server, addr: &str, kind: ErrorKind, why: &str) {
    let error = server.listen(addr).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {addr}: {why}"));
    assert_eq!(error.kind(), kind);
}

#[test]
fn a_port_in_use() {
    common::init();
    let (first, second) = (Server::new(ServerOptions::new()), Server::new(ServerOptions::new()));
    let addr = first.listen("127.0.0.1:0").unwrap().to_string();
    let why = "the port is in use; stop who has it (ss -ltnp shows), or take another port";
    assert_refused(&second, &addr, ErrorKind::AddrInUse, why);
    let why = "this server listens on it already; call listen() once for each address";
    assert_refused(&first, &addr, ErrorKind::AddrInUse, why);
}

#[test]
fn a_path_in_use() {
    common::init();
    let server = Server::new(ServerOptions::new());
    let folder = std::env::temp_dir().join(format!("fastrpc-listen-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let (socket, file) = (folder.join("socket"), folder.join("file"));
    let _other = UnixListener::bind(&socket).unwrap();
    std::fs::write(&file, "").unwrap();
    let why = "another process listens on it; stop that, or take another path";
    assert_refused(&server, &format!("unix:{}", socket.display()), ErrorKind::AddrInUse, why);
    let why = "a file that is not a socket is there; remove it, or take another path";
    assert_refused(&server, &format!("unix:{}", file.display()), ErrorKind::AddrInUse, why);
    let lost = format!("unix:{}", folder.join("no/where").display());
    assert_refused(&server, &lost, ErrorKind::NotFound, "the folder of the path does not exist");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_address_of_another_machine() {
    common::init();
    let server = Server::new(ServerOptions::new());
    let why = "no interface of this machine has the address; 0.0.0.0 stands for all of them";
    assert_refused(&server, "192.0.2.1:80", ErrorKind::AddrNotAvailable, why);
}

#[test]
fn a_server_that_has_stopped() {
    common::init();
    let server = Server::new(ServerOptions::new());
    server.stop(fastrpc::rt::Deadline::NOW);
    let error = server.listen("unix:@fastrpc-listen-stopped").unwrap_err();
    let expected = "cannot listen on unix:@fastrpc-listen-stopped: the server has stopped";
    assert_eq!(error.to_string(), expected);
}
