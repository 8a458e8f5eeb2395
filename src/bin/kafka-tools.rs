//! The command line tools, in one binary: `kafka-tools CLASS args…`.

fn main() {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    std::process::exit(ottla::tools::main(&args));
}
