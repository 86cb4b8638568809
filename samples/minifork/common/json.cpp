#include "json.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace mini {

namespace {

class reader {
  public:
    explicit reader(const std::string & text) : text(text) {}

    json document() {
        json result = read_value(0);
        skip_space();
        if (at != text.size()) {
            fail("unexpected text after the value");
        }
        return result;
    }

  private:
    static constexpr int max_depth = 32;  // recursion must not be the client's to choose

    [[noreturn]] void fail(const std::string & what) const {
        throw std::invalid_argument("invalid JSON at byte " + std::to_string(at) + ": " + what);
    }

    char peek() const { return at < text.size() ? text[at] : '\0'; }

    void skip_space() {
        while (at < text.size() && strchr(" \t\r\n", text[at]) && text[at] != '\0') {
            ++at;
        }
    }

    void expect(char c) {
        if (peek() != c || at >= text.size()) {
            fail(std::string("expected '") + c + "'");
        }
        ++at;
    }

    bool accept_word(const char * word) {
        if (text.compare(at, strlen(word), word) != 0) {
            return false;
        }
        at += strlen(word);
        return true;
    }

    json read_value(int depth) {
        if (depth > max_depth) {
            fail("nested too deeply");
        }
        skip_space();
        json result;
        if (peek() == '{') {
            read_object(result, depth);
        } else if (peek() == '[') {
            read_array(result, depth);
        } else if (peek() == '"') {
            result.type = json::string;
            result.text = read_string();
        } else if (accept_word("true")) {
            result.type = json::boolean;
            result.flag = true;
        } else if (accept_word("false")) {
            result.type = json::boolean;
        } else if (!accept_word("null")) {
            result.type  = json::number;
            result.value = read_number();
        }
        return result;
    }

    void read_object(json & result, int depth) {
        result.type = json::object;
        expect('{');
        skip_space();
        if (peek() == '}') {
            ++at;
            return;
        }
        while (true) {
            skip_space();
            std::string name = read_string();
            skip_space();
            expect(':');
            result.members.emplace_back(std::move(name), read_value(depth + 1));
            skip_space();
            if (peek() != ',') {
                expect('}');
                return;
            }
            ++at;
        }
    }

    void read_array(json & result, int depth) {
        result.type = json::array;
        expect('[');
        skip_space();
        if (peek() == ']') {
            ++at;
            return;
        }
        while (true) {
            result.items.push_back(read_value(depth + 1));
            skip_space();
            if (peek() != ',') {
                expect(']');
                return;
            }
            ++at;
        }
    }

    double read_number() {
        const size_t start = at;
        while (at < text.size() && strchr("+-.eE0123456789", text[at]) && text[at] != '\0') {
            ++at;
        }
        const std::string digits = text.substr(start, at - start);
        char *            end    = nullptr;
        const double      value  = strtod(digits.c_str(), &end);
        if (digits.empty() || digits[0] == '+' || *end != '\0' || !std::isfinite(value)) {
            at = start;
            fail("expected a value");
        }
        return value;
    }

    uint32_t read_hex4() {
        uint32_t code = 0;
        for (int i = 0; i < 4; ++i, ++at) {
            const char   c   = peek();
            const char * hex = "0123456789abcdefABCDEF";
            const char * hit = c ? strchr(hex, c) : nullptr;
            if (!hit) {
                fail("bad \\u escape");
            }
            const uint32_t digit = static_cast<uint32_t>(hit - hex);
            code = code * 16 + (digit > 15 ? digit - 6 : digit);
        }
        return code;
    }

    void append_utf8(std::string & out, uint32_t code) {
        if (code < 0x80) {
            out += static_cast<char>(code);
        } else if (code < 0x800) {
            out += static_cast<char>(0xc0 | code >> 6);
            out += static_cast<char>(0x80 | (code & 63));
        } else if (code < 0x10000) {
            out += static_cast<char>(0xe0 | code >> 12);
            out += static_cast<char>(0x80 | (code >> 6 & 63));
            out += static_cast<char>(0x80 | (code & 63));
        } else {
            out += static_cast<char>(0xf0 | code >> 18);
            out += static_cast<char>(0x80 | (code >> 12 & 63));
            out += static_cast<char>(0x80 | (code >> 6 & 63));
            out += static_cast<char>(0x80 | (code & 63));
        }
    }

    void read_escape(std::string & out) {
        const char   c    = peek();
        const char * from = "\"\\/bfnrt";
        const char * to   = "\"\\/\b\f\n\r\t";
        ++at;
        if (c == 'u') {
            uint32_t code = read_hex4();
            if (code >= 0xd800 && code < 0xdc00) {
                expect('\\');
                expect('u');
                const uint32_t low = read_hex4();
                if (low < 0xdc00 || low > 0xdfff) {
                    fail("bad surrogate pair");
                }
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            } else if (code >= 0xdc00 && code < 0xe000) {
                fail("bad surrogate pair");
            }
            append_utf8(out, code);
        } else if (const char * hit = c ? strchr(from, c) : nullptr) {
            out += to[hit - from];
        } else {
            fail("bad escape");
        }
    }

    std::string read_string() {
        expect('"');
        std::string out;
        while (peek() != '"') {
            if (static_cast<unsigned char>(peek()) < 0x20) {
                fail("unterminated string");
            }
            const char c = text[at++];
            if (c == '\\') {
                read_escape(out);
            } else {
                out += c;
            }
        }
        ++at;
        return out;
    }

    const std::string & text;
    size_t              at = 0;
};

}  // namespace

const json * json::get(const std::string & name) const {
    for (const auto & member : members) {
        if (member.first == name) {
            return &member.second;
        }
    }
    return nullptr;
}

json parse_json(const std::string & text) {
    return reader(text).document();
}

std::string quote_json(const std::string & text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) {
            // Bytes that may not be UTF-8 (a path, an argument) are written as Latin-1 code points.
            char code[8];
            snprintf(code, sizeof(code), "\\u%04x", static_cast<unsigned char>(c));
            out += code;
        } else {
            out += c;
        }
    }
    return out + "\"";
}

}  // namespace mini
