# A test that hangs is ended and named, long before the stage's own limit; the longest takes a minute.
TEST_LIMIT = timeout --kill-after=5 300
LOG_COMPILER = $(TEST_LIMIT)

# Every unit test under valgrind, which the sanitizers' own allocator would not bear. The children that tests start are not
# looked at. Left out is what follows processes by pidfd, for Debian 12's valgrind has no pidfd_open(2), and what races a process against
# us, which valgrind would slow down to nothing. The sanitizers see those.
VALGRIND_FLAGS = --quiet --error-exitcode=1 --leak-check=full --child-silent-after-fork=yes
VALGRIND_NOT = -e test_run_races -e test_run_publish -e test_basic_proc -e test_run_init -e test_run_jail -e test_run_whole
check-valgrind:
if SANITIZERS
	@echo "check-valgrind needs a build without --enable-sanitizers" >&2; exit 1
else
	$(MAKE) $(AM_MAKEFLAGS) check TESTS="`printf '%s\n' $(UNIT_TESTS) | grep -v $(VALGRIND_NOT) | tr '\n' ' '`" \
		LOG_COMPILER='$(TEST_LIMIT) $(VALGRIND) $(VALGRIND_FLAGS)'
endif
.PHONY: check-valgrind
