//! Generates the service of the examples from echo.proto.

fn main() -> std::io::Result<()> {
    fastrpc_build::compile_protos(&["../echo.proto"], &[".."])
}
