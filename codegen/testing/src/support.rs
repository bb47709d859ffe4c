//! An implementation of `Calls`, and servers of it.

use std::sync::Arc;
use std::time::Duration;

use fastrpc::rpc::{Call, Client, ClientOptions, Error, Response};
use fastrpc::rt;
use fastrpc::{Server, ServerOptions};

use crate::testing::calls::{Calls, CallsClient, CallsServer, Count, Text, Tree};

/// The longest that anything in the tests may take.
pub const LONG: Duration = Duration::from_secs(20);

pub struct Implementation;

pub fn text(text: impl Into<String>) -> Text {
    Text { text: text.into() }
}

impl Calls for Implementation {
    fn echo(&self, request: Text, call: &Call) -> Result<Response<Text>, Error> {
        let response = Response::from(request);
        Ok(response.with_attachment(call.attachment()).with_compress(call.compress()))
    }

    fn count(&self, request: Text, _call: &Call) -> Result<Response<Count>, Error> {
        Ok(Count { count: request.text.len() as i64 }.into())
    }

    fn describe(&self, request: Text, call: &Call) -> Result<Response<Text>, Error> {
        let said = format!(
            "{} {} {} log {} id {:?} timed {}",
            request.text,
            call.service(),
            call.method(),
            call.log_id(),
            call.request_id().unwrap_or(""),
            call.deadline() != rt::Deadline::NEVER,
        );
        Ok(text(said).into())
    }

    fn fail(&self, request: Text, _call: &Call) -> Result<Response<Text>, Error> {
        Err(Error::new(2042, format!("no {}", request.text)))
    }

    fn panic(&self, request: Text, _call: &Call) -> Result<Response<Text>, Error> {
        panic!("no {}", request.text)
    }

    fn sleep(&self, request: Count, _call: &Call) -> Result<Response<Text>, Error> {
        rt::sleep(Duration::from_millis(request.count as u64))?;
        Ok(text("slept").into())
    }

    fn later(&self, request: Text, _call: &Call) -> Result<Response<Text>, Error> {
        Ok(Response::deferred(move |responder| {
            std::thread::spawn(move || match request.text.strip_prefix("fail ") {
                Some(why) => responder.fail(&Error::new(7, why.to_owned())),
                None => {
                    let (said, beside) = (responder.call().method().to_owned(), request.text);
                    responder.reply(Response::new(text(said)).with_attachment(beside));
                }
            });
        }))
    }

    fn forget(&self, _request: Text, _call: &Call) -> Result<Response<Text>, Error> {
        Ok(Response::deferred(drop))
    }

    fn depth(&self, request: Tree, _call: &Call) -> Result<Response<Count>, Error> {
        let mut depth = 0;
        let mut next = request.child;
        while let Some(tree) = next {
            depth += 1;
            next = tree.child;
        }
        Ok(Count { count: depth }.into())
    }
}

/// Starts a server of `Calls` on a free port, and returns it with a client.
pub fn server() -> (Server, CallsClient<Arc<Client>>) {
    let server = Server::new(ServerOptions::default());
    server.add_service(CallsServer::new(Implementation)).unwrap();
    let client = client(&server);
    (server, CallsClient::new(client))
}

/// Makes the server listen, and returns a client of it.
pub fn client(server: &Server) -> Arc<Client> {
    let addr = server.listen("127.0.0.1:0").unwrap();
    Arc::new(Client::new(&addr, ClientOptions::default()).unwrap())
}
