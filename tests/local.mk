# Every unit test under valgrind, which the sanitizers' own allocator would not bear. The children that tests start are not
# looked at.
VALGRIND_FLAGS = --quiet --error-exitcode=1 --leak-check=full --child-silent-after-fork=yes
check-valgrind:
if SANITIZERS
	@echo "check-valgrind needs a build without --enable-sanitizers" >&2; exit 1
else
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(UNIT_TESTS)' LOG_COMPILER='$(VALGRIND) $(VALGRIND_FLAGS)'
endif
.PHONY: check-valgrind
