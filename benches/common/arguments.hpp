// Command lines of the benchmark programs: every option is `--name value` or `--name=value`.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct Option {
  const char* name;
  std::string value;  // the default, until the command line says otherwise
  const char* help;
};

class Arguments {
 public:
  Arguments(int argc, char** argv, const char* purpose, std::initializer_list<Option> options)
      : options_(options) {
    for (int i = 1; i < argc; ++i) {
      std::string_view argument = argv[i];
      if (argument == "--help") {
        Help(argv[0], purpose);
        std::exit(0);
      }
      std::string_view name = argument.substr(0, argument.find('='));
      Option* option = name.substr(0, 2) == "--" ? Find(name.substr(2)) : nullptr;
      if (option == nullptr) Fail("unknown option", argument);
      if (name.size() < argument.size()) {
        option->value = argument.substr(name.size() + 1);
      } else if (i + 1 < argc) {
        option->value = argv[++i];
      } else {
        Fail("a value is missing after", argument);
      }
    }
  }

  const std::string& Text(std::string_view name) { return Find(name)->value; }

  long Integer(std::string_view name) {
    const std::string& text = Text(name);
    char* end = nullptr;
    long value = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0') Fail("not a whole number:", text);
    return value;
  }

  double Number(std::string_view name) {
    const std::string& text = Text(name);
    char* end = nullptr;
    double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0') Fail("not a number:", text);
    return value;
  }

 private:
  Option* Find(std::string_view name) {
    for (Option& option : options_) {
      if (name == option.name) return &option;
    }
    return nullptr;
  }

  void Help(const char* program, const char* purpose) const {
    std::printf("%s\n\nusage: %s [--option value]...\n", purpose, program);
    for (const Option& option : options_) {
      std::printf("  --%-14s %s (default: %s)\n", option.name, option.help, option.value.c_str());
    }
  }

  [[noreturn]] static void Fail(const char* what, std::string_view argument) {
    std::fprintf(stderr, "%s %.*s (see --help)\n", what, static_cast<int>(argument.size()),
                 argument.data());
    std::exit(2);
  }

  std::vector<Option> options_;
};

}  // namespace bench
