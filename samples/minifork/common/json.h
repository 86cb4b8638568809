// Enough JSON for the server: strict reading with limits, writing of strings.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace mini {

struct json {
    enum kind { null, boolean, number, string, array, object };

    kind                                      type   = null;
    bool                                      flag   = false;
    double                                    value  = 0;
    std::string                               text;
    std::vector<json>                         items;
    std::vector<std::pair<std::string, json>> members;

    const json * get(const std::string & name) const;
};

json        parse_json(const std::string & text);  // throws std::invalid_argument
std::string quote_json(const std::string & text);

}  // namespace mini
