//! What the two programs have in common.

/// The messages and services of `echo.proto`.
pub mod echo {
    fastrpc::include_proto!("echo");
}

/// The address on the command line, or the one that all the examples use. Ends the program if
/// there is something else.
pub fn address(program: &str) -> String {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8997".to_owned());
    if !address.contains(':') {
        eprintln!("usage: {program} HOST:PORT");
        std::process::exit(2);
    }
    address
}
