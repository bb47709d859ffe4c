//! `echo_server [HOST:PORT]`: serves `echo.EchoService` until it is interrupted.

use std::io;
use std::time::Duration;

use fastrpc::rpc::{Call, Error, Response};
use fastrpc::rt;
use fastrpc::{Server, ServerOptions};
use fastrpc_examples::address;
use fastrpc_examples::echo::{EchoRequest, EchoResponse, EchoService, EchoServiceServer};

fn main() -> io::Result<()> {
    let server = Server::new(ServerOptions::default());
    server.add_service(EchoServiceServer::new(Echo))?;
    println!("listening on {}", server.listen(address("echo_server"))?);
    let signal = server.run_until_signal(Duration::from_secs(10))?;
    println!("signal {signal} after {} calls", server.stats().calls);
    Ok(())
}

/// Plain blocking code: each call has a coroutine of its own.
struct Echo;

impl EchoService for Echo {
    fn echo(&self, request: EchoRequest, call: &Call) -> Result<Response<EchoResponse>, Error> {
        let response = Response::new(EchoResponse { response: request.message });
        Ok(response.with_attachment(call.attachment()))
    }

    fn slow_echo(
        &self,
        request: EchoRequest,
        call: &Call,
    ) -> Result<Response<EchoResponse>, Error> {
        rt::sleep(Duration::from_secs(1))?;
        self.echo(request, call)
    }

    fn refuse(&self, request: EchoRequest, _call: &Call) -> Result<Response<EchoResponse>, Error> {
        Err(Error::new(2042, format!("'{}' is refused", request.message)))
    }

    fn broken(&self, request: EchoRequest, _call: &Call) -> Result<Response<EchoResponse>, Error> {
        panic!("no echo for '{}'", request.message);
    }
}
