// Classifies images with a bundle from C++: ONNX Runtime's C++ API and the standard library, nothing else.
//
//     g++ -std=c++17 -O2 classify.cpp -I ORT/include -L ORT/lib -Wl,-rpath,ORT/lib -lonnxruntime -o classify
//     ./classify resnet-gated picture.ppm ...
//
// ORT is an unpacked release of ONNX Runtime for C++ (1.20 or newer). Images are binary PPM files (P6, 8 bits a
// channel) of the bundle's size; all that are given are classified in one call. The bundle's hashes are not checked
// here: `pixelproof inspect` does that, once, before the bundle is deployed. Behind `autoencoder`, which changes every
// pixel, suspicion tells nothing.

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

std::int64_t header_number(std::istream& file) {
    for (file >> std::ws; file.peek() == '#'; file >> std::ws) {
        file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    std::int64_t number = 0;
    file >> number;
    return number;
}

std::string size(std::int64_t height, std::int64_t width) {
    return std::to_string(height) + "x" + std::to_string(width);
}

// A PPM file's pixels, as the graph takes them: rows of RGB, a byte a channel.
std::vector<std::uint8_t> read_ppm(const std::string& path, std::int64_t height, std::int64_t width) {
    std::ifstream file(path, std::ios::binary);
    if (!file.is_open()) {
        throw std::runtime_error("cannot open '" + path + "'");
    }
    std::array<char, 2> kind{};
    file.read(kind.data(), kind.size());
    const std::int64_t own_width = header_number(file);
    const std::int64_t own_height = header_number(file);
    const std::int64_t white = header_number(file);
    file.get();  // the one space before the pixels
    if (!file || kind != std::array{'P', '6'} || white != 255 || own_width < 1 || own_height < 1) {
        throw std::runtime_error("'" + path + "' is no binary PPM file (P6) of 8 bits a channel. Next: convert it, "
                                 "such as by ImageMagick's convert IMAGE -depth 8 IMAGE.ppm");
    }
    if (own_height != height || own_width != width) {
        throw std::runtime_error("'" + path + "' is " + size(own_height, own_width) + "; the bundle takes " +
                                 size(height, width));
    }
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(height * width * 3));
    file.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
    if (!file) {
        throw std::runtime_error("'" + path + "' ends before its last pixel");
    }
    return pixels;
}

// The strings in a JSON list of strings, which is how the graph's metadata names the classes: UTF-8, in which only
// quotes and backslashes are escaped.
std::vector<std::string> strings_of(const std::string& json) {
    std::vector<std::string> found;
    for (std::size_t at = json.find('"'); at != std::string::npos; at = json.find('"', at + 1)) {
        std::string text;
        for (++at; json.at(at) != '"'; ++at) {
            text += json[at] == '\\' ? json.at(++at) : json[at];
        }
        found.push_back(text);
    }
    return found;
}

// Whether the bundle has a purifier, which its manifest says; without one its bare classifier is all there is.
bool has_pipeline(const std::filesystem::path& bundle) {
    std::ifstream manifest(bundle / "bundle.json");
    if (!manifest.is_open()) {
        throw std::runtime_error("'" + bundle.string() + "' is no bundle: it has no bundle.json. Next: pixelproof " +
                                 "export resnet -o " + bundle.string());
    }
    const std::string text{std::istreambuf_iterator<char>(manifest), {}};
    return text.find("\"pipeline.onnx\"") != std::string::npos;
}

// A bundle's graph: the purified pipeline, or the bare classifier where the bundle has no purifier.
class Pipeline {
  public:
    explicit Pipeline(const std::filesystem::path& bundle) {
        purifies_ = has_pipeline(bundle);
        const auto file = bundle / (purifies_ ? "pipeline.onnx" : "classifier.onnx");
        Ort::SessionOptions options;
        // Idle threads leave the cores to others; ONNX Runtime knows this since 1.26 and before lets them spin.
        options.AddConfigEntry("session.intra_op.spin_duration_us", "10");
        session_ = Ort::Session(environment_, file.c_str(), options);
        const auto shape = session_.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();  // batch, H, W, 3
        height_ = shape.at(1);
        width_ = shape.at(2);
        Ort::AllocatorWithDefaultOptions allocator;
        const auto names = session_.GetModelMetadata().LookupCustomMetadataMapAllocated("class_names", allocator);
        class_names_ = strings_of(names ? names.get() : "");
    }

    // Classifies the files in one call and prints a line for each.
    void classify(const std::vector<std::string>& paths) {
        std::vector<std::uint8_t> images;
        for (const auto& path : paths) {
            const auto pixels = read_ppm(path, height_, width_);
            images.insert(images.end(), pixels.begin(), pixels.end());
        }
        const std::array<std::int64_t, 4> shape{static_cast<std::int64_t>(paths.size()), height_, width_, 3};
        const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
        const auto input =
            Ort::Value::CreateTensor<std::uint8_t>(memory, images.data(), images.size(), shape.data(), shape.size());
        const std::array inputs{"images"};
        const std::array outputs{"probabilities", "suspicion", "suspect"};
        const auto results = session_.Run(Ort::RunOptions{}, inputs.data(), &input, 1, outputs.data(),
                                          purifies_ ? outputs.size() : 1);
        for (std::size_t row = 0; row < paths.size(); ++row) {
            print(paths[row], results, row);
        }
    }

  private:
    void print(const std::string& path, const std::vector<Ort::Value>& results, std::size_t row) const {
        const auto classes = static_cast<std::size_t>(results[0].GetTensorTypeAndShapeInfo().GetShape().at(1));
        const float* probabilities = results[0].GetTensorData<float>() + row * classes;
        const auto label = static_cast<std::size_t>(  // the lowest among equals
            std::max_element(probabilities, probabilities + classes) - probabilities);
        const auto name = label < class_names_.size() ? class_names_[label] : std::to_string(label);
        std::printf("%s: %s %.6f", path.c_str(), name.c_str(), static_cast<double>(probabilities[label]));
        if (purifies_) {
            const std::int64_t* suspect = results[2].GetTensorData<std::int64_t>() + row * 2;
            std::printf(", suspicion %.6f", static_cast<double>(results[1].GetTensorData<float>()[row]));
            if (suspect[0] >= 0) {  // -1, -1 where the purifier changed nothing
                std::printf(" at row %lld, column %lld", static_cast<long long>(suspect[0]),
                            static_cast<long long>(suspect[1]));
            }
        }
        std::printf("\n");
    }

    Ort::Env environment_{ORT_LOGGING_LEVEL_ERROR, "pixelproof"};
    Ort::Session session_{nullptr};
    bool purifies_ = false;
    std::int64_t height_ = 0, width_ = 0;
    std::vector<std::string> class_names_;
};

}  // namespace

int main(int count, char** arguments) {
    if (count < 3) {
        std::cerr << "usage: classify BUNDLE IMAGE.ppm...\n";
        return 2;
    }
    try {
        Pipeline(arguments[1]).classify({arguments + 2, arguments + count});
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << "\n";
        return 1;
    }
    return 0;
}
