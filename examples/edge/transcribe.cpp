// Speech to text with onnxruntime's C API: prints what `sewd transcribe` prints.
//
//   transcribe BUNDLE MODEL RECORDING...
//
// BUNDLE: a folder with bundle.json and vocab.json. MODEL: its model.<precision>.onnx, or the .ort that
// `sewd-export --ort` makes of it. RECORDING: WAV, 16-bit PCM, mono, at the model's rate, up to a minute.

#include <onnxruntime_c_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t max_s = 60;  // `sewd transcribe` splits a longer recording at its pauses

// What it says is for the user: what, where, what to do.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// ---- The recording

std::uint32_t number(const std::string& bytes, std::size_t at, std::size_t size) {  // little-endian
  std::uint32_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}

class WavFile {
 public:
  WavFile(const std::string& name, std::uint32_t rate_hz)
      : name_(name), rate_hz_(rate_hz), file_(name, std::ios::binary) {
    if (!file_) fail("cannot be opened");
  }

  // Samples in [-1, 1).
  std::vector<float> samples() {
    const std::string head = read(12);
    if (head.substr(0, 4) != "RIFF" || head.substr(8) != "WAVE") fail("is no WAV file");
    for (bool has_format = false;;) {
      const std::string chunk = read(8);
      const std::uint32_t size = number(chunk, 4, 4);
      if (chunk.substr(0, 4) == "data") {
        if (!has_format) fail("has no format before its samples");
        return decode(size);
      }
      if (chunk.substr(0, 4) == "fmt ") {
        check_format(size);
        has_format = true;
      } else {
        file_.seekg(size, std::ios::cur);
      }
      file_.seekg(size % 2, std::ios::cur);  // chunks begin at even places
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error(name_ + ": " + what); }

  std::string read(std::size_t size) {
    std::string bytes(size, '\0');
    if (!file_.read(bytes.data(), static_cast<std::streamsize>(size))) fail("is truncated");
    return bytes;
  }

  void check_format(std::uint32_t size) {
    if (size < 16) fail("has a format of only " + std::to_string(size) + " bytes");
    const std::string format = read(16);
    const bool is_pcm = number(format, 0, 2) == 1 && number(format, 14, 2) == 16;
    if (!is_pcm || number(format, 2, 2) != 1 || number(format, 4, 4) != rate_hz_) {
      const std::string rate = std::to_string(rate_hz_);
      fail("must be 16-bit PCM, mono, at " + rate + " Hz; ffmpeg -i IN -ac 1 -ar " + rate +
           " -c:a pcm_s16le OUT.wav makes it");
    }
    file_.seekg(size - 16, std::ios::cur);
  }

  std::vector<float> decode(std::uint32_t size) {
    if (size > 2 * max_s * rate_hz_) fail("is longer than a minute, or of unknown length; split it");
    if (size == 0 || size % 2 != 0) fail("has " + std::to_string(size) + " bytes of samples");
    const std::string bytes = read(size);
    std::vector<float> samples(size / 2);
    for (std::size_t i = 0; i < samples.size(); ++i)
      samples[i] = static_cast<std::int16_t>(number(bytes, 2 * i, 2)) / 32768.0F;
    return samples;
  }

  std::string name_;
  std::uint32_t rate_hz_;
  std::ifstream file_;
};

// ---- The bundle: docs/bundle.md

struct Bundle {
  std::uint32_t sample_rate_hz;
  std::size_t min_samples;
  std::size_t blank;
  std::vector<std::string> pieces;  // the text of each output; the blank's is empty
  std::vector<std::size_t> labels;  // of each output: itself, or the one label of all that have no token
  bool lower_case, clean_up;
};

json read_json(const fs::path& path) {
  std::ifstream file(path);
  if (!file) throw Error(path.filename().string() + " cannot be opened");
  return json::parse(file);
}

// An integer within the limits of docs/bundle.md.
std::uint32_t integer(const json& value, const std::string& name) {
  if (!value.is_number_integer() || value < 0 || value > 1'000'000)
    throw Error(name + " must be an integer from 0 to 1,000,000");
  return value;
}

// What each output writes. tokens: of vocab.json.
void name_outputs(Bundle& bundle, std::size_t count, const json& tokens, const json& ctc) {
  const auto text_of = [&](const char* key) {
    return ctc.at(key).is_null() ? "" : ctc.at(key).get<std::string>();
  };
  const std::string unknown = text_of("unknown_token"), delimiter = text_of("word_delimiter");
  const auto piece = [&](const std::string& token) {
    return !token.empty() && token == delimiter ? " " : token;
  };

  bundle.pieces.assign(count, piece(unknown));
  std::vector<bool> is_named(count);
  std::size_t unknown_label = count;  // none yet
  for (const auto& [token, id] : tokens.items()) {
    const std::size_t output = integer(id, "the id of " + token);
    if (output >= count) continue;  // a token that the model cannot write
    bundle.pieces[output] = output == bundle.blank ? "" : piece(token);
    is_named[output] = true;
    if (token == unknown) unknown_label = output;
  }
  for (std::size_t output = 0; output < count; ++output) {
    if (!is_named[output] && ctc.at("unknown_token").is_null())
      throw Error("output " + std::to_string(output) + " has no token");
    if (!is_named[output] && unknown_label == count) unknown_label = output;
    bundle.labels.push_back(is_named[output] ? output : unknown_label);
  }
}

Bundle read_bundle(const fs::path& folder) try {
  const json manifest = read_json(folder / "bundle.json");
  const json& ctc = manifest.at("ctc");
  if (ctc.is_null()) throw Error("its task is not ctc; it writes no text");
  Bundle bundle;
  bundle.sample_rate_hz = integer(manifest.at("sample_rate_hz"), "sample_rate_hz");
  bundle.min_samples = integer(manifest.at("min_samples"), "min_samples");
  bundle.blank = integer(ctc.at("blank_id"), "blank_id");
  bundle.lower_case = ctc.at("do_lower_case");
  bundle.clean_up = ctc.at("clean_up_spaces");
  name_outputs(bundle, integer(manifest.at("num_outputs"), "num_outputs"), read_json(folder / "vocab.json"),
               ctc);
  if (bundle.blank >= bundle.pieces.size()) throw Error("its blank is no output");
  const auto is_ascii = [](unsigned char byte) { return byte < 0x80; };
  for (const auto& one : bundle.pieces)
    if (bundle.lower_case && !std::all_of(one.begin(), one.end(), is_ascii))
      throw Error("lower case beyond ASCII is not in this sample");
  return bundle;
} catch (const std::exception& error) {
  throw Error(folder.string() + ": cannot be used: " + error.what());
}

// ---- The model

const OrtApi* api = nullptr;

void check(OrtStatus* status) {
  if (status == nullptr) return;
  const std::string message = api->GetErrorMessage(status);
  api->ReleaseStatus(status);
  throw Error(message);
}

template <auto release>
struct Release {
  template <typename T>
  void operator()(T* object) const {
    (api->*release)(object);
  }
};
using Env = std::unique_ptr<OrtEnv, Release<&OrtApi::ReleaseEnv>>;
using Options = std::unique_ptr<OrtSessionOptions, Release<&OrtApi::ReleaseSessionOptions>>;
using Session = std::unique_ptr<OrtSession, Release<&OrtApi::ReleaseSession>>;
using Memory = std::unique_ptr<OrtMemoryInfo, Release<&OrtApi::ReleaseMemoryInfo>>;
using Value = std::unique_ptr<OrtValue, Release<&OrtApi::ReleaseValue>>;
using Shape = std::unique_ptr<OrtTensorTypeAndShapeInfo, Release<&OrtApi::ReleaseTensorTypeAndShapeInfo>>;

// Whether int8 kernels overflow: without VNNI, x86-64 takes slower ones. Other CPUs ignore the setting.
bool lacks_vnni() {
#if defined(__x86_64__) && defined(__GNUC__)
  return !__builtin_cpu_supports("avx512vnni") && !__builtin_cpu_supports("avxvnni");
#else
  return true;
#endif
}

Env start() {
#ifndef _WIN32
  // Otherwise onnxruntime 1.32 writes to the home folder and looks for a host.
  setenv("ORT_DISABLE_TELEMETRY", "1", 0);
#endif
  api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (api == nullptr)
    throw Error(std::string("onnxruntime ") + OrtGetApiBase()->GetVersionString() +
                " is older than its header");
  OrtEnv* env = nullptr;
  check(api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "transcribe", &env));  // errors are returned
  return Env(env);
}

Session open_model(const Env& env, const fs::path& path) {
  OrtSessionOptions* options = nullptr;
  check(api->CreateSessionOptions(&options));
  const Options owner(options);
  check(api->SetIntraOpNumThreads(options, 1));
  check(api->DisableMemPattern(options));  // one for each length would be kept
  if (lacks_vnni()) check(api->AddSessionConfigEntry(options, "session.x64quantprecision", "1"));
  OrtSession* session = nullptr;
  check(api->CreateSession(env.get(), path.c_str(), options, &session));
  return Session(session);
}

template <typename T, std::size_t N>
Value tensor(T* data, const std::array<std::int64_t, N>& shape, ONNXTensorElementDataType type) {
  OrtMemoryInfo* memory = nullptr;
  check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  const Memory owner(memory);
  std::size_t count = sizeof(T);
  for (const auto size : shape) count *= static_cast<std::size_t>(size);
  OrtValue* value = nullptr;
  check(api->CreateTensorWithDataAsOrtValue(memory, data, count, shape.data(), N, type, &value));
  return Value(value);
}

// The values of an output, after its type and shape.
template <typename T>
const T* values_of(const Value& value, ONNXTensorElementDataType type, std::vector<std::int64_t>& shape) {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  check(api->GetTensorTypeAndShape(value.get(), &info));
  const Shape owner(info);
  ONNXTensorElementDataType actual;
  check(api->GetTensorElementType(info, &actual));
  if (actual != type) throw Error("the model's output is of another type; docs/bundle.md has the interface");
  std::size_t rank = 0;
  check(api->GetDimensionsCount(info, &rank));
  shape.resize(rank);
  check(api->GetDimensions(info, shape.data(), rank));
  void* data = nullptr;
  check(api->GetTensorMutableData(value.get(), &data));
  return static_cast<const T*>(data);
}

// ---- Text

// In this order, as transformers' `clean_up_tokenization`.
constexpr std::array<std::pair<std::string_view, std::string_view>, 10> clean_ups{
    {{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"},
     {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}}};

std::string finish(std::string text, const Bundle& bundle) {
  text.erase(0, text.find_first_not_of(' '));
  text.erase(text.find_last_not_of(' ') + 1);
  if (bundle.lower_case)
    for (char& one : text) one = 'A' <= one && one <= 'Z' ? static_cast<char>(one - 'A' + 'a') : one;
  if (bundle.clean_up)
    for (const auto& [before, after] : clean_ups)
      for (auto at = text.find(before); at != std::string::npos; at = text.find(before, at + after.size()))
        text.replace(at, before.size(), after);
  return text;
}

// The best label of each frame, repeats merged. logits: (frames, outputs).
std::string decode(const float* logits, std::size_t frames, const Bundle& bundle) {
  const std::size_t outputs = bundle.pieces.size();
  std::string text;
  std::size_t last = bundle.blank;
  for (const float* row = logits; row != logits + frames * outputs; row += outputs) {
    if (!std::all_of(row, row + outputs, [](float one) { return std::isfinite(one); }))
      throw Error("the model returned NaN or infinity");
    const std::size_t label =
        bundle.labels[static_cast<std::size_t>(std::max_element(row, row + outputs) - row)];
    if (label != last) text += bundle.pieces[label];
    last = label;
  }
  return finish(std::move(text), bundle);
}

std::string transcribe(const Session& session, std::vector<float> samples, const Bundle& bundle) {
  if (samples.size() < bundle.min_samples) return "";  // shorter than a frame
  std::int64_t length = static_cast<std::int64_t>(samples.size());
  const Value values =
      tensor(samples.data(), std::array<std::int64_t, 2>{1, length}, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  const Value lengths = tensor(&length, std::array<std::int64_t, 1>{1}, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64);
  const std::array inputs{"input_values", "input_lengths"}, outputs{"logits", "output_lengths"};
  const std::array<const OrtValue*, 2> given{values.get(), lengths.get()};
  std::array<OrtValue*, 2> returned{};
  check(api->Run(session.get(), nullptr, inputs.data(), given.data(), 2, outputs.data(), 2, returned.data()));
  const Value logits(returned[0]), frames(returned[1]);

  std::vector<std::int64_t> shape, number;
  const float* scores = values_of<float>(logits, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, shape);
  const std::int64_t* count = values_of<std::int64_t>(frames, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, number);
  const auto width = static_cast<std::int64_t>(bundle.pieces.size());
  if (shape.size() != 3 || shape[0] != 1 || shape[2] != width || number.size() != 1 || number[0] != 1 ||
      *count < 0 || *count > shape[1])
    throw Error("the model's outputs have other shapes than its bundle says");
  return decode(scores, static_cast<std::size_t>(*count), bundle);
}

}  // namespace

int main(int count, char** arguments) try {
  if (count < 4) {
    std::cerr << "usage: transcribe BUNDLE MODEL RECORDING...\n";
    return 2;
  }
  const Bundle bundle = read_bundle(arguments[1]);
  std::vector<std::vector<float>> recordings;
  for (int i = 3; i < count; ++i)
    recordings.push_back(WavFile(arguments[i], bundle.sample_rate_hz).samples());
  const Env env = start();
  const Session session = open_model(env, arguments[2]);
  for (int i = 3; i < count; ++i) {
    if (count > 4) std::cout << arguments[i] << ": ";
    std::cout << transcribe(session, std::move(recordings[static_cast<std::size_t>(i) - 3]), bundle)
              << std::endl;
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << "transcribe: " << error.what() << '\n';
  return 1;
}
