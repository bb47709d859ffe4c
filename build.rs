//! Compiles the C++ shim through which Rust calls C++ callbacks (feature `capi` only).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "capi")]
    capi();
}

#[cfg(feature = "capi")]
fn capi() {
    for file in ["cpp/callback.h", "cpp/callback.cc", "src/ffi/callback.rs"] {
        println!("cargo::rerun-if-changed={file}");
    }
    // Hidden: the shared library exports what fastrpc.h declares and nothing else.
    cxx_build::bridge("src/ffi/callback.rs")
        .file("cpp/callback.cc")
        .std("c++17")
        .flag_if_supported("-fvisibility=hidden")
        .flag_if_supported("-Wextra")
        .compile("fastrpc_callback");
}
