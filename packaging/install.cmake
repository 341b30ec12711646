# What `cmake --install` puts where: both programs into bin, the mount helper into sbin, the pages into share/man.
#
# A libfuse from outside the system's library directories (packaging/libfuse builds one into the build tree) is copied
# to lib/pailfs, where the installed programs' RUNPATH looks for it, so that they outlive the build tree.
set(private_fuse OFF)
if(NOT FUSE3_LIBDIR IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
  set(private_fuse ON)
  install(DIRECTORY ${FUSE3_LIBDIR}/ DESTINATION lib/pailfs FILES_MATCHING PATTERN "libfuse3.so.*"
          PATTERN "pkgconfig" EXCLUDE)
endif()
message(STATUS "libfuse ${FUSE3_VERSION} in ${FUSE3_LIBDIR}, installed along: ${private_fuse}")

foreach(program pailfs pail)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION bin)
  endif()
endforeach()
if(private_fuse AND TARGET pailfs)
  set_target_properties(pailfs PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/pailfs")
endif()

# mount(8) looks for helpers in /sbin only: packaging/run puts a link there.
install(PROGRAMS ${CMAKE_SOURCE_DIR}/packaging/mount.fuse.pailfs DESTINATION sbin)

foreach(section 1 5 7 8)
  file(GLOB pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/man/*.${section})
  install(FILES ${pages} DESTINATION share/man/man${section})
endforeach()
