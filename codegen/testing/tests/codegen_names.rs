//! Names that are hard for a generator, and packages that use each other.

use fastrpc::ServerOptions;
use fastrpc::rpc::{self, CallOptions};
use fastrpc_build_testing::testing::{deep, names};
use fastrpc_build_testing::{Bare, BareClient, BareServer, Number, support};

type Outcome<T> = Result<rpc::Response<T>, rpc::Error>;

struct Everything;

impl names::Names for Everything {
    fn r#type(&self, request: names::Result, _: &rpc::Call) -> Outcome<names::Option> {
        Ok(names::Option { value: request.value + 1 }.into())
    }
    fn self_(&self, request: names::String, _: &rpc::Call) -> Outcome<names::Vec> {
        Ok(names::Vec { value: request.value + 2 }.into())
    }
    fn r#match(&self, request: names::Ok, _: &rpc::Call) -> Outcome<names::Call> {
        Ok(names::Call { value: request.value + 3 }.into())
    }
    fn new_(&self, request: names::Answer, _: &rpc::Call) -> Outcome<names::Error> {
        Ok(names::Error { value: request.value + 4 }.into())
    }
    fn twice(&self, request: names::Client, _: &rpc::Call) -> Outcome<names::Server> {
        Ok(names::Server { value: request.value + 5 }.into())
    }
    fn twice_(&self, request: names::Client, _: &rpc::Call) -> Outcome<names::Server> {
        Ok(names::Server { value: request.value + 6 }.into())
    }
    fn twice_async(&self, request: names::Client, _: &rpc::Call) -> Outcome<names::Send> {
        Ok(names::Send { value: request.value + 7 }.into())
    }
    fn http_get2(&self, request: names::Protobuf, _: &rpc::Call) -> Outcome<names::C> {
        Ok(names::C { value: request.value + 8 }.into())
    }
    fn borrow(&self, request: names::C, _: &rpc::Call) -> Outcome<names::Protobuf> {
        Ok(names::Protobuf { value: request.value + 9 }.into())
    }
}

impl names::S for Everything {
    fn call(&self, request: names::C, _: &rpc::Call) -> Outcome<names::C> {
        Ok(names::C { value: -request.value }.into())
    }
}

impl names::Nothing for Everything {}

impl Bare for Everything {
    fn add(&self, request: Number, _: &rpc::Call) -> Outcome<Number> {
        Ok(Number { number: Some(request.number() + 1) }.into())
    }
}

impl deep::Imports for Everything {
    fn inner(&self, request: deep::down::Inner, _: &rpc::Call) -> Outcome<deep::outer::Nested> {
        Ok(deep::outer::Nested { text: request.text }.into())
    }
    fn nested(
        &self,
        request: deep::outer::Nested,
        _: &rpc::Call,
    ) -> Outcome<deep::down::inner::Kind> {
        Ok(deep::down::inner::Kind { kind: request.text.len() as i32 }.into())
    }
    fn number(&self, request: Number, _: &rpc::Call) -> Outcome<Number> {
        Ok(request.into())
    }
    fn nothing(&self, (): (), _: &rpc::Call) -> Outcome<()> {
        Ok(().into())
    }
    fn when(
        &self,
        request: prost_types::Timestamp,
        _: &rpc::Call,
    ) -> Outcome<prost_types::Duration> {
        Ok(prost_types::Duration { seconds: request.seconds, nanos: 5 }.into())
    }
    fn wrapped(&self, request: String, _: &rpc::Call) -> Outcome<i64> {
        Ok((request.len() as i64).into())
    }
}

impl deep::down::Deepest for Everything {
    fn echo(&self, request: deep::down::Inner, _: &rpc::Call) -> Outcome<deep::down::Inner> {
        Ok(request.into())
    }
}

fn server() -> (fastrpc::Server, std::sync::Arc<rpc::Client>) {
    let server = fastrpc::Server::new(ServerOptions::default());
    server.add_service(names::NamesServer::new(Everything)).unwrap();
    server.add_service(names::SServer::new(Everything)).unwrap();
    server.add_service(names::NothingServer::new(Everything)).unwrap();
    server.add_service(BareServer::new(Everything)).unwrap();
    server.add_service(deep::ImportsServer::new(Everything)).unwrap();
    server.add_service(deep::down::DeepestServer::new(Everything)).unwrap();
    let client = support::client(&server);
    (server, client)
}

#[test]
fn methods_that_are_called_like_something_else() {
    let (_server, client) = server();
    let stub = names::NamesClient::new(&*client);
    let options = CallOptions::default();
    let value = 10;
    assert_eq!(stub.r#type(&names::Result { value }, &options).unwrap().into_body().value, 11);
    assert_eq!(stub.self_(&names::String { value }, &options).unwrap().into_body().value, 12);
    assert_eq!(stub.r#match(&names::Ok { value }, &options).unwrap().into_body().value, 13);
    assert_eq!(stub.new_(&names::Answer { value }, &options).unwrap().into_body().value, 14);
    assert_eq!(stub.twice(&names::Client { value }, &options).unwrap().into_body().value, 15);
    assert_eq!(stub.twice_(&names::Client { value }, &options).unwrap().into_body().value, 16);
    assert_eq!(stub.twice_async(&names::Client { value }, &options).unwrap().into_body().value, 17);
    assert_eq!(stub.http_get2(&names::Protobuf { value }, &options).unwrap().into_body().value, 18);
    assert_eq!(stub.borrow(&names::C { value }, &options).unwrap().into_body().value, 19);
    let s = names::SClient::new(&*client);
    assert_eq!(s.call(&names::C { value }, &options).unwrap().into_body().value, -10);
}

/// Peers in other languages look for the names of the `.proto` file.
#[test]
fn names_on_the_wire() {
    let (_server, client) = server();
    for (service, method) in [
        ("testing.names.Names", "type"),
        ("testing.names.Names", "self"),
        ("testing.names.Names", "Match"),
        ("testing.names.Names", "New"),
        ("testing.names.Names", "Twice"),
        ("testing.names.Names", "twice"),
        ("testing.names.Names", "Twice_async"),
        ("testing.names.Names", "HTTPGet2"),
        ("testing.names.S", "call"),
        ("testing.deep.Imports", "Inner"),
        ("testing.deep.down.Deepest", "Echo"),
        ("Bare", "Add"),
    ] {
        let outcome = client.call(service, method, b"", &CallOptions::default());
        assert!(outcome.is_ok(), "{service}.{method}: {outcome:?}");
    }
}

#[test]
fn packages_that_use_each_other() {
    let (_server, client) = server();
    let options = CallOptions::default();
    let imports = deep::ImportsClient::new(&*client);
    let inner = deep::down::Inner { text: "deep".into() };
    let nested = imports.inner(&inner, &options).unwrap().into_body();
    assert_eq!(nested.text, "deep");
    assert_eq!(imports.nested(&nested, &options).unwrap().into_body().kind, 4);
    let number = Number { number: Some(-3) };
    assert_eq!(imports.number(&number, &options).unwrap().into_body(), number);
    let deepest = deep::down::DeepestClient::new(&*client);
    assert_eq!(deepest.echo(&inner, &options).unwrap().into_body(), inner);
}

#[test]
fn no_package_and_proto2() {
    let (_server, client) = server();
    let bare = BareClient::new(client);
    let default = Number::default();
    assert_eq!(bare.add(&default, &CallOptions::default()).unwrap().into_body().number, Some(8));
}

#[test]
fn well_known_types() {
    let (_server, client) = server();
    let options = CallOptions::default();
    let imports = deep::ImportsClient::new(&*client);
    imports.nothing(&(), &options).unwrap();
    let when = prost_types::Timestamp { seconds: 1_700_000_000, nanos: 1 };
    let duration = imports.when(&when, &options).unwrap().into_body();
    assert_eq!((duration.seconds, duration.nanos), (1_700_000_000, 5));
    assert_eq!(imports.wrapped(&"four".to_owned(), &options).unwrap().into_body(), 4);
}
