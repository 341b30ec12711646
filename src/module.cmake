# pailfs_module(NAME [DEPS module...] [LIBS target...]): one static library out of every .cc file in the calling
# directory. The DEPS lists are the layer diagram of src/README.md; tests/lint checks them against the includes.
add_library(pailfs_flags INTERFACE)
target_include_directories(pailfs_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
target_compile_definitions(pailfs_flags INTERFACE _FILE_OFFSET_BITS=64 PAILFS_VERSION="${PROJECT_VERSION}")
target_compile_options(pailfs_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Wold-style-cast -Werror
  -fno-omit-frame-pointer -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(pailfs_flags INTERFACE -Wthread-safety)
endif()
if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT PAILFS_SANITIZE)
  target_compile_options(pailfs_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(PAILFS_SANITIZE)
  target_compile_options(pailfs_flags INTERFACE -fsanitize=${PAILFS_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(pailfs_flags INTERFACE -fsanitize=${PAILFS_SANITIZE})
  if(PAILFS_SANITIZE MATCHES "thread")
    # g++ cannot model std::atomic_thread_fence under TSan; we do not use it, libraries' headers may.
    target_compile_options(pailfs_flags INTERFACE -Wno-tsan)
  endif()
endif()
target_link_libraries(pailfs_flags INTERFACE Threads::Threads)

function(pailfs_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main(_[a-z]+)?\\.cc$")
  add_library(pailfs_${name} STATIC ${sources})
  target_link_libraries(pailfs_${name} PUBLIC pailfs_flags)
  foreach(dep ${ARG_DEPS})
    if(TARGET pailfs_${dep}) # a module without sources yet is no library
      target_link_libraries(pailfs_${name} PUBLIC pailfs_${dep})
    endif()
  endforeach()
  target_link_libraries(pailfs_${name} PUBLIC ${ARG_LIBS})
endfunction()
