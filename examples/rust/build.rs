fn main() -> std::io::Result<()> {
    fastrpc_build::compile_protos(&["../echo.proto"], &[".."])
}
