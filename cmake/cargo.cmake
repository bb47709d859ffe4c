# Finds cargo, checks its age, and defines fastrpc_cargo_staticlib(), which makes the archive.

# A single `key = "value"` line of Cargo.toml's first table: there the version lives, and nowhere
# else.
function(fastrpc_manifest_value key result)
  file(STRINGS "${CMAKE_CURRENT_SOURCE_DIR}/Cargo.toml" lines REGEX "^${key} *= *\"[^\"]+\"")
  if(NOT lines)
    message(FATAL_ERROR "Cargo.toml has no line that sets ${key}")
  endif()
  list(GET lines 0 line)
  string(REGEX REPLACE "^[^\"]*\"([^\"]+)\".*$" "\\1" value "${line}")
  set(${result} "${value}" PARENT_SCOPE)
endfunction()

function(fastrpc_find_cargo)
  find_program(FASTRPC_CARGO cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin"
               DOC "The cargo that builds the library")
  fastrpc_manifest_value(rust-version wanted)
  if(NOT FASTRPC_CARGO)
    message(FATAL_ERROR "fastrpc needs cargo (Rust ${wanted} or later) to build: "
                        "install it from https://rustup.rs, or set FASTRPC_CARGO to it")
  endif()
  execute_process(COMMAND "${FASTRPC_CARGO}" --version
                  WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
                  OUTPUT_VARIABLE said ERROR_VARIABLE complaint RESULT_VARIABLE status)
  if(NOT status EQUAL 0 OR NOT said MATCHES "^cargo ([0-9]+\\.[0-9]+\\.[0-9]+)")
    message(FATAL_ERROR "${FASTRPC_CARGO} --version failed: ${said}${complaint}")
  endif()
  if(CMAKE_MATCH_1 VERSION_LESS wanted)
    message(FATAL_ERROR "fastrpc needs Rust ${wanted} or later, "
                        "and ${FASTRPC_CARGO} is ${CMAKE_MATCH_1}: try `rustup update stable`")
  endif()
endfunction()

# fastrpc_cargo_staticlib(TARGET NAME ARCHIVE VARIABLE)
# A target that runs cargo at every build (cargo knows best whether there is anything to do), and
# the archive it leaves.
function(fastrpc_cargo_staticlib)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET;ARCHIVE" "")

  # Cargo's own folder if the caller has one, so that its builds share their work.
  set(target_dir "${CMAKE_CURRENT_BINARY_DIR}/cargo")
  if(NOT "$ENV{CARGO_TARGET_DIR}" STREQUAL "")
    get_filename_component(target_dir "$ENV{CARGO_TARGET_DIR}" ABSOLUTE
                           BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
  set(FASTRPC_CARGO_TARGET_DIR "${target_dir}" CACHE PATH
      "Where cargo builds; $CARGO_TARGET_DIR at the first configuration, if set")
  set(target_dir "${FASTRPC_CARGO_TARGET_DIR}")

  set(features capi ${FASTRPC_CARGO_FEATURES})
  if(FASTRPC_HOOKS)
    list(APPEND features hook)
  endif()
  list(JOIN features "," features)
  set(args -p fastrpc --lib --crate-type staticlib --features "${features}"
           --target-dir "${target_dir}")
  if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    set(folder debug)
  else()
    set(folder release)
    list(APPEND args --release)
  endif()
  if(FASTRPC_RUST_TARGET)
    list(APPEND args --target "${FASTRPC_RUST_TARGET}")
    set(folder "${FASTRPC_RUST_TARGET}/${folder}")
  endif()
  if(FASTRPC_OFFLINE)
    list(APPEND args --offline)
  endif()
  list(APPEND args ${FASTRPC_CARGO_ARGS})

  # The C++ inside the library is compiled by cargo. It uses the default compiler unless the
  # caller chose another; to name the default as well would only make cargo build it twice.
  set(environment)
  find_program(FASTRPC_DEFAULT_CXX c++)
  mark_as_advanced(FASTRPC_DEFAULT_CXX)
  get_filename_component(chosen "${CMAKE_CXX_COMPILER}" REALPATH)
  get_filename_component(default "${FASTRPC_DEFAULT_CXX}" REALPATH)
  if(NOT chosen STREQUAL default)
    list(APPEND environment "CXX=${CMAKE_CXX_COMPILER}")
  endif()

  set(archive "${target_dir}/${folder}/libfastrpc.a")
  # A copy of our own: another build with other features may use the same target folder.
  set(copy "${CMAKE_CURRENT_BINARY_DIR}/cargo-archive/libfastrpc.a")
  add_custom_target(${arg_TARGET}
    COMMAND "${CMAKE_COMMAND}" -E env ${environment} "${FASTRPC_CARGO}" rustc ${args}
    COMMAND "${CMAKE_COMMAND}" -E make_directory "${CMAKE_CURRENT_BINARY_DIR}/cargo-archive"
    COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${archive}" "${copy}"
    BYPRODUCTS "${copy}"
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
    COMMENT "Building libfastrpc.a with cargo"
    USES_TERMINAL VERBATIM)
  set(${arg_ARCHIVE} "${copy}" PARENT_SCOPE)
endfunction()
