# Sets MINI_INFO_NUMBER and MINI_INFO_COMMIT: as given, else from git, else 0 and unknown.
set(MINI_INFO_NUMBER 0)
set(MINI_INFO_COMMIT unknown)

find_package(Git QUIET)
if(GIT_FOUND)
    execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --show-prefix
        WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
        OUTPUT_VARIABLE prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
    # A copy inside some other repository has a prefix: that repository's commit is not ours.
    if(NOT failed AND prefix STREQUAL "")
        # A fixed length: git's own choice depends on how many objects a clone has.
        execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --short=9 HEAD
            WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
            OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE no_commit)
        execute_process(COMMAND ${GIT_EXECUTABLE} rev-list --count HEAD
            WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
            OUTPUT_VARIABLE number OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE no_number)
        if(NOT no_commit AND NOT no_number)
            set(MINI_INFO_COMMIT ${commit})
            set(MINI_INFO_NUMBER ${number})
        endif()
    endif()
endif()

if(NOT MINI_BUILD_NUMBER STREQUAL "")
    set(MINI_INFO_NUMBER ${MINI_BUILD_NUMBER})
endif()
if(NOT MINI_BUILD_COMMIT STREQUAL "")
    set(MINI_INFO_COMMIT ${MINI_BUILD_COMMIT})
endif()
if(NOT MINI_INFO_NUMBER MATCHES "^[0-9]+$")
    message(FATAL_ERROR "MINI_BUILD_NUMBER must be a number, not '${MINI_INFO_NUMBER}'")
endif()
