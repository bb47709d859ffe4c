//! What the two programs share.

/// The messages and services of `echo.proto`.
pub mod echo {
    fastrpc::include_proto!("echo");
}

/// Returns the address on the command line, or the default of all the examples. Ends the program if
/// the argument is not an address.
pub fn address(program: &str) -> String {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8997".to_owned());
    if !address.contains(':') {
        eprintln!("usage: {program} HOST:PORT");
        std::process::exit(2);
    }
    address
}
