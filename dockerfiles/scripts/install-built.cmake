# cmake -DBUILD_DIR=... -DCMAKE_INSTALL_PREFIX=... -DCMAKE_INSTALL_DO_STRIP=1 -P install-built.cmake
#
# `cmake --install --strip`, of what was built. The plain command stops at the first executable that nobody asked for, so
# `file(INSTALL ...)` is looked at before it is carried out: files of the build folder that do not exist are passed over, and
# named. If one of them is needed after all, the check of the finished image says which.
macro(file)
    set(_ingot_missing "")
    if("${ARGV0}" STREQUAL "INSTALL")
        foreach(_ingot_word ${ARGV})
            string(FIND "${_ingot_word}" "${BUILD_DIR}/" _ingot_at)
            if(_ingot_at EQUAL 0 AND NOT EXISTS "${_ingot_word}")
                list(APPEND _ingot_missing "${_ingot_word}")
            endif()
        endforeach()
    endif()
    if(_ingot_missing)
        message(STATUS "Not built, not installed: ${_ingot_missing}")
    else()
        _file(${ARGV})
    endif()
endmacro()

include("${BUILD_DIR}/cmake_install.cmake")
