//! What is rejected, what the options do, and that both compilers of `.proto` files agree.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use fastrpc_build::Builder;
use tempfile::TempDir;

/// Compiles files, given by name and text, and returns what was generated, by file name.
fn compile_by(
    builder: impl FnOnce(Builder) -> Builder,
    files: &[(&str, &str)],
) -> io::Result<BTreeMap<String, String>> {
    let folder = TempDir::new().unwrap();
    let out = TempDir::new().unwrap();
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        paths.push(path);
    }
    let mut config = prost_build::Config::new();
    config.out_dir(out.path());
    builder(Builder::new().config(config)).compile_protos(&paths, &[folder.path()])?;
    Ok(read(out.path()))
}

fn compile(text: &str) -> io::Result<BTreeMap<String, String>> {
    compile_by(|builder| builder, &[("a.proto", text)])
}

fn read(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn streaming_methods_are_refused() {
    for (request, response) in [("stream M", "M"), ("M", "stream M"), ("stream M", "stream M")] {
        let text = format!(
            "syntax = 'proto3'; package p; message M {{}}
             service S {{ rpc One(M) returns (M); rpc Two({request}) returns ({response}); }}"
        );
        let error = compile(&text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.proto: method Two of service S streams, which fastrpc does not support"
        );
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}

#[test]
fn errors_say_where() {
    let error = compile("syntax = 'proto3';\nmessage M {\n  Nobody n = 1;\n}").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("a.proto:3:3") && text.contains("Nobody"), "{text}");

    let error = compile("syntax = 'proto3'; import 'nowhere.proto';").unwrap_err();
    assert!(error.to_string().contains("nowhere.proto"), "{error}");

    let error = compile("message { }").unwrap_err();
    assert!(error.to_string().contains("a.proto:1:9"), "{error}");

    let none: &[&str] = &[];
    let error = fastrpc_build::compile_protos(&["nowhere/b.proto"], none).unwrap_err();
    assert!(error.to_string().contains("b.proto"), "{error}");
}

const ECHO: &str = "
    syntax = 'proto3';
    package demo;
    message Text { string text = 1; }
    // Says things.
    //
    // Twice, if you like.
    service Echo {
      // Says it.
      rpc Say(Text) returns (Text);  // Loudly.
      rpc Quiet(Text) returns (Text);
    }";

#[test]
fn comments_become_documentation() {
    let code = &compile(ECHO).unwrap()["demo.rs"];
    let after = |part: &str| {
        let before = code.find(part).unwrap_or_else(|| panic!("no '{part}' in:\n{code}"));
        code[..before].lines().rev().take_while(|l| !l.is_empty()).collect::<Vec<_>>()
    };
    let on_trait = after("pub trait Echo");
    for line in ["/// Says things.", "/// Twice, if you like."] {
        assert!(on_trait.contains(&line), "{on_trait:?}");
    }
    assert_eq!(code.matches("/// Says it.").count(), 3, "{code}");
    assert_eq!(code.matches("/// Loudly.").count(), 3, "{code}");
    assert_eq!(code.matches("/// The method `Quiet`.").count(), 3, "{code}");
}

#[test]
fn one_side_only() {
    let files = [("a.proto", ECHO)];
    let server = compile_by(|builder| builder.client(false), &files).unwrap();
    let client = compile_by(|builder| builder.server(false), &files).unwrap();
    let neither = compile_by(|builder| builder.server(false).client(false), &files).unwrap();
    let has = |code: &BTreeMap<String, String>, name: &str| code["demo.rs"].contains(name);
    for (code, is_server, is_client) in
        [(&server, true, false), (&client, false, true), (&neither, false, false)]
    {
        assert!(has(code, "pub struct Text"));
        assert_eq!(has(code, "pub trait Echo"), is_server);
        assert_eq!(has(code, "pub struct EchoServer"), is_server);
        assert_eq!(has(code, "pub struct EchoClient"), is_client);
        assert_eq!(has(code, "fastrpc"), is_server || is_client);
    }
}

#[test]
fn a_file_for_each_package() {
    let deep = "syntax = 'proto3'; package a.b.c; message M {} service S { rpc R(M) returns (M); }";
    let bare = "syntax = 'proto3'; message M {} service S { rpc R(M) returns (M); }";
    let made = compile_by(|builder| builder, &[("x.proto", deep), ("y.proto", bare)]).unwrap();
    assert_eq!(made.keys().collect::<Vec<_>>(), ["_.rs", "a.b.c.rs"]);
    assert!(made["a.b.c.rs"].contains("\"a.b.c.S\""));
    assert!(made["_.rs"].contains("\"S\""));
}

#[test]
fn protoc_gives_the_same_code() {
    if let Err(error) = std::process::Command::new("protoc").arg("--version").output() {
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
        return eprintln!("there is no protoc to compare with");
    }
    let files = [("a.proto", ECHO)];
    let by_protoc = compile_by(Builder::protoc, &files).unwrap();
    assert_eq!(by_protoc, compile(ECHO).unwrap());
    let error = compile_by(Builder::protoc, &[("a.proto", "message { }")]).unwrap_err();
    assert!(error.to_string().contains("a.proto:1:9"), "{error}");
}
