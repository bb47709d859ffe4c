//! The options of code generation.

use std::io;
use std::path::{Path, PathBuf};

use prost_build::Config;
use prost_types::FileDescriptorSet;

use crate::generator::Generator;

/// Options of code generation: what to generate, and how.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let mut config = prost_build::Config::new();
/// config.include_file("protos.rs").btree_map(["."]);
/// fastrpc_build::Builder::new()
///     .config(config)
///     .server(false)
///     .compile_protos(&["proto/a.proto", "proto/b.proto"], &["proto"])
/// # }
/// ```
#[derive(Debug)]
pub struct Builder {
    config: Config,
    generator: Generator,
    protoc: bool,
}

impl Builder {
    /// Creates a builder that generates servers and clients, into `OUT_DIR`.
    #[expect(clippy::new_without_default, reason = "a builder is begun in one way")]
    pub fn new() -> Builder {
        let generator = Generator { server: true, client: true };
        Builder { config: Config::new(), generator, protoc: cfg!(not(feature = "protox")) }
    }

    /// Sets the prost configuration: how messages are generated, and where everything is written.
    /// Its service generator is replaced.
    #[must_use]
    pub fn config(mut self, config: Config) -> Builder {
        self.config = config;
        self
    }

    /// Sets whether traits and servers are generated. Default true.
    #[must_use]
    pub fn server(mut self, wanted: bool) -> Builder {
        self.generator.server = wanted;
        self
    }

    /// Sets whether clients are generated. Default true.
    #[must_use]
    pub fn client(mut self, wanted: bool) -> Builder {
        self.generator.client = wanted;
        self
    }

    /// Reads the `.proto` files with `protoc`.
    #[must_use]
    pub fn protoc(mut self) -> Builder {
        self.protoc = true;
        self
    }

    /// Compiles `.proto` files: see [`compile_protos`](crate::compile_protos). Tells cargo to rerun
    /// the build script when one of the files, or of those they import, changes.
    ///
    /// # Errors
    /// When a file cannot be read or is invalid, when a method streams, and when the output cannot
    /// be written.
    pub fn compile_protos(
        mut self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> io::Result<()> {
        let protos: Vec<PathBuf> = protos.iter().map(|path| path.as_ref().into()).collect();
        let includes: Vec<PathBuf> = includes.iter().map(|path| path.as_ref().into()).collect();
        // Before they are read: cargo must rerun the script once an invalid file is fixed.
        for path in &protos {
            watch(path);
        }
        let files = self.load(&protos, &includes)?;
        for file in &files.file {
            let places = includes.iter().map(|folder| folder.join(file.name()));
            places.filter(|path| path.is_file()).take(1).for_each(|path| watch(&path));
        }
        self.compile_fds(files)
    }

    /// Compiles a file descriptor set, the output of a protobuf compiler, imports included.
    ///
    /// # Errors
    /// When a method streams, and when the output cannot be written.
    pub fn compile_fds(mut self, files: FileDescriptorSet) -> io::Result<()> {
        refuse_streams(&files)?;
        self.config.service_generator(Box::new(self.generator));
        self.config.compile_fds(files)
    }

    fn load(&mut self, protos: &[PathBuf], includes: &[PathBuf]) -> io::Result<FileDescriptorSet> {
        if self.protoc {
            println!("cargo::rerun-if-env-changed=PROTOC");
        }
        #[cfg(feature = "protox")]
        if !self.protoc {
            return protox::compile(protos, includes).map_err(|error| {
                // Its `Display` has no position, its `Debug` has everything in one line.
                io::Error::new(io::ErrorKind::InvalidInput, format!("{error:?}"))
            });
        }
        self.config.load_fds(protos, includes)
    }
}

fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

fn refuse_streams(files: &FileDescriptorSet) -> io::Result<()> {
    for file in &files.file {
        for service in &file.service {
            let streams = |method: &&prost_types::MethodDescriptorProto| {
                method.client_streaming() || method.server_streaming()
            };
            if let Some(method) = service.method.iter().find(streams) {
                let text = format!(
                    "{}: method {} of service {} streams, which fastrpc does not support",
                    file.name(),
                    method.name(),
                    service.name(),
                );
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
        }
    }
    Ok(())
}
