//! Generates the services that the tests of code generation use.

fn main() -> std::io::Result<()> {
    let mut config = prost_build::Config::new();
    config.include_file("all.rs");
    let files = ["calls", "names", "bare", "deep/imports", "deep/down/inner"]
        .map(|file| format!("proto/{file}.proto"));
    fastrpc_build::Builder::new().config(config).compile_protos(&files, &["proto"])
}
