/* test_tool.c - tool files: what is read, and every fault with its line. */
#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "config/tool.h"
#include "config_help.h"

#define SHOWN "/etc/x.tool"
#define COMMAND "[tool]\ncommand = /bin/true\n"

static struct tool *
load_bytes(void **state, const void *data, size_t len, struct faults *f)
{
	const struct temp_dir *dir = *state;
	struct tool *tool = NULL;

	put_file_bytes(dir, "x.tool", data, len);
	memset(f, 0, sizeof *f);
	assert_int_equal(tool_load(dir->fd, "x.tool", SHOWN, f, &tool), 0);
	assert_true((tool != NULL) == (f->n == 0));
	return tool;
}

static struct tool *
load_good(void **state, const char *text)
{
	struct faults f;
	struct tool *tool = load_bytes(state, text, strlen(text), &f);

	assert_faults(&f, SHOWN, NO_FAULTS);
	faults_done(&f);
	return tool;
}

static void
assert_bad(void **state, const char *text, const char *const *wanted)
{
	struct faults f;

	assert_null(load_bytes(state, text, strlen(text), &f));
	assert_faults(&f, SHOWN, wanted);
	faults_done(&f);
}

static void
assert_fault(void **state, const char *text, const char *fault)
{
	const char *const wanted[] = { fault, NULL };

	assert_bad(state, text, wanted);
}

static void
assert_list(char *const *list, const char *const *wanted)
{
	size_t n = 0;

	assert_non_null(list);
	for (; wanted[n]; n++)
		assert_string_equal(list[n], wanted[n]);
	assert_null(list[n]);
}
#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void
test_a_whole_file_is_read(void **state)
{
	struct tool *t = load_good(state,
	    "[tool]\ncommand =\n\tsh\n\t-c\n\techo \"$@\"\n\t--gen={gen}\n\t{data.txt}\nenvironment =\n\tA=1\n\tPATH=/opt/bin\n\tEMPTY=\n"
	    "folders =\n\t/opt/tool\n\t/usr/share/x y\nstdout = apart\nlive = progress.json\ntwice = yes\nkill-grace = 500ms\nkeep = 0\n"
	    "[parameter gen]\nmax = 400\nrequired = yes\n[parameter n]\ntype = integer\nmin = -3\nmax = 7\n[parameter x]\ntype = number\n"
	    "[input data.txt]\nmax = 4M\n[input b]\nrequired = no\n"
	    "[limits]\nwall = 90s\ncpu = 1h\nmemory = 1G\naddress-space = 2G\nprocesses = 8\nfile = 3M\nopen-files = 12\nlog = 64K\n"
	    "stdout = 5M\noutput = 6M\noutput-files = 16\n");

	assert_string_equal(t->name, "x");
	assert_list(t->command, LIST("/usr/bin/sh", "-c", "echo \"$@\"", "--gen={gen}", "{data.txt}"));
	assert_list(t->environment, LIST("A=1", "PATH=/opt/bin", "EMPTY=", "HOME=/job", "LANG=C.UTF-8"));
	assert_list(t->folders, LIST("/opt/tool", "/usr/share/x y"));
	assert_true(t->stdout_apart && t->twice);
	assert_string_equal(t->live, "progress.json");
	assert_int_equal(t->kill_grace_usec, 500000);
	assert_int_equal(t->keep_usec, 0);
	assert_int_equal(t->n_parameters, 3);
	assert_true(t->parameters[0].required && t->parameters[0].type == PARAMETER_TEXT && t->parameters[0].max == 400);
	assert_true(t->parameters[1].type == PARAMETER_INTEGER && t->parameters[1].min == -3 && t->parameters[1].max == 7);
	assert_true(t->parameters[2].type == PARAMETER_NUMBER && !t->parameters[2].has_min && !t->parameters[2].has_max);
	assert_int_equal(t->n_inputs, 2);
	assert_true(t->inputs[0].required && t->inputs[0].max_bytes == 4 << 20);
	assert_true(!t->inputs[1].required && t->inputs[1].max_bytes == 1 << 20);
	assert_ptr_equal(tool_find_input(t, "b"), &t->inputs[1]);
	assert_null(tool_find_input(t, "c"));
	assert_int_equal(t->limits.wall_usec, 90000000);
	assert_int_equal(t->limits.cpu_usec, 3600000000ULL);
	assert_int_equal(t->limits.memory_bytes, 1 << 30);
	assert_int_equal(t->limits.address_space_bytes, 2ULL << 30);
	assert_int_equal(t->limits.processes, 8);
	assert_int_equal(t->limits.file_bytes, 3 << 20);
	assert_int_equal(t->limits.open_files, 12);
	assert_int_equal(t->limits.log_bytes, 64 << 10);
	assert_int_equal(t->limits.stdout_bytes, 5 << 20);
	assert_int_equal(t->limits.output_bytes, 6 << 20);
	assert_int_equal(t->limits.output_files, 16);
	assert_null(tool_free(t));
}

static void
test_a_short_file_has_the_defaults(void **state)
{
	struct tool *t = load_good(state, COMMAND);

	assert_list(t->command, LIST("/bin/true"));
	assert_list(t->environment, LIST("PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/job", "LANG=C.UTF-8"));
	assert_non_null(t->folders);
	assert_null(t->folders[0]);
	assert_false(t->stdout_apart || t->twice);
	assert_null(t->live);
	assert_int_equal(t->keep_usec, 7 * 86400 * 1000000ULL);
	assert_int_equal(t->limits.wall_usec, 3600 * 1000000ULL);
	assert_int_equal(t->limits.output_files, 10000);
	(void)tool_free(t);
}

static void
test_a_section_without_keys_declares(void **state)
{
	struct tool *t = load_good(state, "[tool]\ncommand =\n\ttrue\n\t{a}\n\t{b.txt}\n[parameter a]\n[input b.txt]\n");

	assert_int_equal(t->n_parameters, 1);
	assert_string_equal(t->parameters[0].name, "a");
	assert_true(t->parameters[0].max == 4096);
	assert_int_equal(t->n_inputs, 1);
	assert_true(t->inputs[0].required);
	(void)tool_free(t);
}

static void
test_all_faults_are_told_at_once(void **state)
{
	static const char *const wanted[] = {
		":1: \"early\" stands before the first [section]",
		":5: environment: \"NOVALUE\" is not NAME=VALUE",
		":7: folders: \"relative\" is no absolute path",
		":8: stdout must be apart or log",
		":9: live: \"../up\" is no file name",
		":10: twice must be yes or no",
		":11: kill-grace: \"later\" is no time (such as 90s)",
		":12: [tool] has no key \"kep\"",
		":13: there is no section [nonsense]",
		":15: \"a b\" is no name for a parameter",
		":17: \"job\" is no name for a parameter",
		":19: type must be text, integer, number, boolean or choice",
		":20: a parameter has no key \"maximum\"",
		":21: min: \"x\" is no number",
		":22: \".hidden\" is no name for an input, or one too many",
		":24: an input has no key \"min\"",
		":25: max: \"1Z\" is no size (such as 16M)",
		":27: [limits] has no key \"ram\"",
		":28: wall: \"?\" is no time (such as 90s)",
		":4: command: {nothing} is neither a parameter nor an input",
		NULL
	};

	assert_bad(state, "early = 1\n[tool]\ncommand = /bin/true\n	{nothing}\nenvironment = NOVALUE\nfolders =\n\trelative\nstdout = both\n"
	    "live = ../up\ntwice = maybe\nkill-grace = later\nkep = 1d\n[nonsense]\nx = 1\n[parameter a b]\nmax = 1\n[parameter job]\n"
	    "[parameter p]\ntype = file\nmaximum = 3\nmin = x\n[input .hidden]\n[input i]\nmin = 3\nmax = 1Z\n[limits]\nram = 1G\nwall = ?\n",
	    wanted);
}

static void
test_a_command_is_needed_and_must_be_there(void **state)
{
	assert_fault(state, "", ": [tool] command is missing");
	assert_fault(state, "[tool]\ncommand =\n", ": [tool] command is missing");
	assert_fault(state, "[tool]\ncommand = no-such-program-anywhere\n",
	    ":2: the program \"no-such-program-anywhere\" is in no folder for programs");
	assert_fault(state, "[tool]\ncommand = bin/true\n", ":2: the program \"bin/true\" needs an absolute path or no slash");
	assert_fault(state, "[tool]\ncommand = /no/such\n", ":2: the program /no/such cannot be run: No such file or directory");
	assert_fault(state, "[tool]\ncommand = /etc/passwd\n", ":2: the program /etc/passwd cannot be run: Permission denied");
	assert_fault(state, "[tool]\ncommand = /usr\n", ":2: the program /usr cannot be run: Is a directory");
}

static void
test_a_key_said_twice_is_a_fault(void **state)
{
	assert_fault(state, COMMAND "keep = 1d\nkeep = 2d\n", ":4: keep stands here a second time");
	assert_fault(state, COMMAND "command = /bin/false\n", ":3: command stands here a second time");
	assert_fault(state, COMMAND "[limits]\nwall = 1s\n[tool]\n[limits]\nwall = 1s\n", ":7: wall stands here a second time");
	assert_fault(state, COMMAND "[parameter a]\nmax = 1\n[parameter b]\nmax = 1\n[parameter a]\nmax = 1\n",
	    ":8: max stands here a second time");
	/* The same key of different sections, and one that ends like another, are none of that. */
	(void)tool_free(load_good(state, COMMAND "[limits]\nstdout = 1\n[parameter c-max]\nmax = 2\n[parameter c]\nmax = 1\n"));
}

static void
test_a_single_value_is_no_list(void **state)
{
	assert_fault(state, COMMAND "keep = 1d\n\t2d\n", ":4: keep has one value, not a list");
	assert_fault(state, COMMAND "[limits]\nwall = 1s\n 2s\n", ":5: wall has one value, not a list");
}

static void
test_long_lines_and_nul_are_faults(void **state)
{
	static const char nul[] = COMMAND "\targ\0ument\n";
	const char *const wanted_nul[] = { ":3: the line has a NUL byte", NULL };
	char text[512];
	struct faults f;
	struct tool *t;

	assert_null(load_bytes(state, nul, sizeof nul - 1, &f));
	assert_faults(&f, SHOWN, wanted_nul);
	faults_done(&f);
	(void)snprintf(text, sizeof text, COMMAND "\t%0197d\n", 0);
	t = load_good(state, text);
	assert_int_equal(strlen(t->command[1]), 197);
	(void)tool_free(t);
	(void)snprintf(text, sizeof text, COMMAND "\t%0198d\n\tnext\n", 0);
	assert_fault(state, text, ":3: the line is longer than 198 bytes");
}

static void
test_a_list_is_bounded(void **state)
{
	char text[4096] = COMMAND;
	size_t len = strlen(text);
	struct tool *t;

	for (int i = 0; i < 255; i++, len += 3)
		memcpy(text + len, "\ta\n", 4);
	t = load_good(state, text);
	assert_string_equal(t->command[255], "a");
	assert_null(t->command[256]);
	(void)tool_free(t);
	memcpy(text + len, "\ta\n", 4);
	assert_fault(state, text, ":258: the list is too long");
}

static void
test_inputs_are_bounded(void **state)
{
	char text[8192] = COMMAND;
	size_t len = strlen(text);

	for (int i = 0; i < 64; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "[input f%d]\n", i);
	(void)tool_free(load_good(state, text));
	(void)snprintf(text + len, sizeof text - len, "[input f64]\n");
	assert_fault(state, text, ":67: \"f64\" is no name for an input, or one too many");
}

static void
test_ranges_are_checked(void **state)
{
	assert_fault(state, COMMAND "[parameter a]\ntype = integer\nmin = 2\nmax = 1\n", ":6: parameter a: min is greater than max");
	assert_fault(state, COMMAND "[parameter a]\nmax = 4097\n", ":4: parameter a: a text has at most 4096 bytes");
	assert_fault(state, COMMAND "[parameter a]\nmin = 5000\n", ":4: parameter a: min is greater than max");
	assert_fault(state, COMMAND "[parameter a]\nmax = -1\n", ":4: parameter a: a text has no negative length");
	assert_fault(state, COMMAND "[parameter a]\nmin = nan\n", ":4: min: \"nan\" is no number");
	assert_fault(state, COMMAND "[parameter a]\nmax = 1e999\n", ":4: max: \"1e999\" is no number");
	assert_fault(state, COMMAND "[parameter a]\nmax =\n", ":4: max: \"\" is no number");
	/* Added to a time, or written as JSON, these would turn into something else. */
	assert_fault(state, COMMAND "keep = 36501d\n", ":3: keep: 36501d is more than 36500 days");
	assert_fault(state, COMMAND "keep = 400000000d\n", ":3: keep: 400000000d is more than 36500 days");
	assert_fault(state, COMMAND "[limits]\noutput = 16777215T\n", ":4: output: 16777215T is more than 1048576T");
	(void)tool_free(load_good(state, COMMAND "keep = 36500d\n[limits]\noutput = 1048576T\n"));
}

static void
test_links_network_and_variables_are_read(void **state)
{
	struct tool *t = load_good(state, COMMAND "network = yes\nlink =\n\tdata /usr/share\n\ttrue   /bin/true\njail = bwrap\ntrust = untrusted\n"
	    "durable = yes\nlimits = approximate\n[parameter a]\nenvironment = A_1\nsecret = no\n");

	assert_true(t->network && !t->trusted && !t->no_jail && !t->strict);
	assert_list(t->links, LIST("data /usr/share", "true /bin/true"));
	assert_string_equal(t->parameters[0].variable, "A_1");
	assert_int_equal(strlen(t->sha256), 64);
	(void)tool_free(t);
}

static void
test_trust_jail_and_strictness_are_read(void **state)
{
	struct tool *t = load_good(state, "[tool]\ncommand =\n\t/bin/true\n\t{job}/x\ntrust = trusted\njail = none\nnetwork = yes\n"
	    "limits = strict\n");
	struct tool_refusal refusal;
	char **argv = NULL;

	assert_true(t->trusted && t->no_jail && t->strict && t->network);
	/* Where there is no jail there is no /job. */
	assert_int_equal(tool_build_argv(t, NULL, NULL, 0, &argv, &refusal), 0);
	assert_string_equal(argv[1], "./x");
	argv_free(argv);
	(void)tool_free(t);
	t = load_good(state, COMMAND "trust = trusted\njail = none\nnetwork = yes\nafter =\n\trm\n\t/x/{id}\n");
	assert_list(t->after, LIST("/usr/bin/rm", "/x/{id}"));
	(void)tool_free(t);
	/* Nobody can fill the host by what a file forgot to limit. */
	t = load_good(state, COMMAND);
	assert_true(t->limits.processes > 0 && t->limits.memory_bytes > 0 && t->limits.wall_usec > 0);
	(void)tool_free(t);
}

static void
test_links_that_cannot_be_are_faults(void **state)
{
	assert_fault(state, COMMAND "link = ../x /usr\n", ":3: link: \"../x\" is no file name");
	assert_fault(state, COMMAND "link = x\n", ":3: link: \"\" is no absolute path of a file or folder");
	assert_fault(state, COMMAND "link = x //\n", ":3: link: \"//\" is no absolute path of a file or folder");
	assert_fault(state, COMMAND "link = x /usr/../etc\n", ":3: link: \"/usr/../etc\" is no absolute path of a file or folder");
	assert_fault(state, COMMAND "link = x /no/such\n", ":3: link: /no/such: No such file or directory");
	assert_fault(state, COMMAND "link =\n\tx /usr\n\tx /bin\n", ":5: link: x stands here a second time");
	assert_fault(state, COMMAND "link = x /usr\n[input x]\n", ": link: x is the name of an input or of the live file");
	assert_fault(state, COMMAND "link = x /usr\nlive = x\n", ": link: x is the name of an input or of the live file");
}

static void
test_variables_have_one_origin(void **state)
{
	assert_fault(state, COMMAND "[parameter a]\nenvironment = 1A\n", ":4: environment: \"1A\" is no name for a variable");
	assert_fault(state, COMMAND "[parameter a]\nenvironment = A=B\n", ":4: environment: \"A=B\" is no name for a variable");
	assert_fault(state, COMMAND "[parameter a]\nenvironment = PATH\n", ":4: environment: [tool] sets PATH already");
	assert_fault(state, COMMAND "environment = X=1\n[parameter a]\nenvironment = X\n", ":5: environment: [tool] sets X already");
	assert_fault(state, COMMAND "[parameter a]\nenvironment = X\n[parameter b]\nenvironment = X\n",
	    ":6: environment: parameter a sets X already");
}

static void
test_what_is_not_served_is_never_ignored(void **state)
{
	static const char *const wanted[] = {
		":3: jail must be bwrap or none", ":4: trust must be untrusted or trusted",
		":5: durable must be yes or no", ":6: limits must be approximate or strict",
		":7: volumes is not served by this version", ":8: serial must be yes or no",
		":9: cache-key must be yes or no", ":10: after needs jail = none, for of a jail nothing is left",
		":12: parameter p: a secret needs environment, the variable that has it", NULL
	};

	assert_bad(state, COMMAND "jail = docker\ntrust = some\ndurable = never\nlimits = some\nvolumes = cache\nserial = one\n"
	    "cache-key = x\nafter = /bin/true\n[parameter p]\nsecret = yes\n", wanted);
	assert_fault(state, COMMAND "jail = none\nnetwork = yes\n", ":3: jail = none needs trust = trusted");
	assert_fault(state, COMMAND "jail = none\ntrust = trusted\n",
	    ":3: jail = none needs network = yes, for nothing keeps it from the network");
	assert_fault(state, COMMAND "jail = none\ntrust = trusted\nnetwork = yes\nafter = no-such-program\n",
	    ":6: the program \"no-such-program\" is in no folder for programs");
	assert_fault(state, COMMAND "volumes =\n", ":3: volumes has no value");
	assert_fault(state, COMMAND "serial = yes\ncache-key = yes\n", ": serial and cache-key exclude each other");
	assert_fault(state, COMMAND "durable = no\ncache-key = yes\n", ": durable = no and cache-key exclude each other");
	assert_fault(state, COMMAND "publish =\n\ta\n\tb\nlive = c\n", ": publish excludes durable = no, cache-key and live");
	assert_fault(state, COMMAND "publish = a/b\n", ":3: publish: \"a/b\" is no file name");
	assert_fault(state, COMMAND "service = a b\n", ":3: service: \"a b\" is no name of a service");
	assert_fault(state, COMMAND "[parameter p]\nsecret = often\n", ":4: secret must be yes or no");
	assert_fault(state, COMMAND "[parameter p]\nsecret = yes\nenvironment = P\ndefault = x\n", ":6: parameter p: a default is no secret");
	assert_fault(state, COMMAND "\t{p}\n[parameter p]\nsecret = yes\nenvironment = P\n",
	    ":3: command: {p} is a secret, which everybody could read in the argument vector");
	assert_fault(state, COMMAND "cache-key = yes\n[parameter p]\nenvironment = P\nsecret = yes\n",
	    ":6: parameter p: work with a secret is never equal: no cache-key");
}

static void
test_kinds_of_parameters_are_checked_at_their_lines(void **state)
{
	assert_fault(state, COMMAND "[parameter a]\ntrue = -v\n", ":4: parameter a: true and false are keys of a boolean");
	assert_fault(state, COMMAND "[parameter a]\ntype = boolean\n",
	    ":3: parameter a: a boolean needs true or false, the text that stands for it");
	assert_fault(state, COMMAND "[parameter a]\ntype = choice\n", ":3: parameter a: a choice needs choices");
	assert_fault(state, COMMAND "[parameter a]\nchoices =\n\tx\n", ":4: parameter a: choices is a key of a choice");
	assert_fault(state, COMMAND "[parameter a]\ntype = choice\nchoices = x\ndefault = y\n",
	    ":6: parameter a: its default is refused: a is none of its choices");
	assert_fault(state, COMMAND "[parameter a]\ntype = integer\ndefault = 1.5\n",
	    ":5: parameter a: its default is refused: a must be an integer");
	assert_fault(state, COMMAND "[parameter a]\nrequired = yes\ndefault = x\n", ":5: parameter a: what is required needs no default");
}

static void
test_a_name_is_never_cut(void **state)
{
	char text[512];
	struct tool *t;

	(void)snprintf(text, sizeof text, COMMAND "[input %043d]\n", 0);
	t = load_good(state, text);
	assert_int_equal(strlen(t->inputs[0].name), 43);
	(void)tool_free(t);
	(void)snprintf(text, sizeof text, COMMAND "[input %044d]\n", 0);
	assert_fault(state, text, ":3: the section's name is longer than 49 bytes");
}

static void
test_a_folder_of_tools_is_read_by_name(void **state)
{
	const struct temp_dir *dir = *state;
	struct tools *tools = NULL;
	struct faults f = { NULL, 0 };

	put_file(dir, "one.tool", COMMAND "keep = 3d\n");
	put_file(dir, "two.tool", COMMAND "keep = 2d\n");
	put_file(dir, "ever.tool", COMMAND "keep = 0\n");
	put_file(dir, ".hidden.tool", "nonsense");
	put_file(dir, "README", "nonsense");
	put_file(dir, ".tool", "nonsense");
	assert_int_equal(tools_load(dir->path, &f, &tools), 0);
	assert_int_equal(f.n, 0);
	assert_int_equal(tools_count(tools), 3);
	assert_string_equal(tools_find(tools, "two")->name, "two");
	assert_null(tools_find(tools, "three"));
	assert_int_equal(tools_shortest_keep(tools), 2 * 86400 * 1000000ULL);
	(void)tools_free(tools);
}

static void
test_faults_of_all_tools_are_told_at_once(void **state)
{
	const struct temp_dir *dir = *state;
	struct tools *tools = NULL;
	struct faults f = { NULL, 0 };
	char bad_name[600], one[600], two[600];

	put_file(dir, "one.tool", "[tool]\n");
	put_file(dir, "two.tool", COMMAND "x = 1\n");
	put_file(dir, "a b.tool", COMMAND);
	assert_int_equal(mkdirat(dir->fd, "dir.tool", 0700), 0);
	(void)snprintf(one, sizeof one, "%s/one.tool: [tool] command is missing", dir->path);
	(void)snprintf(two, sizeof two, "%s/two.tool:3: [tool] has no key \"x\"", dir->path);
	(void)snprintf(bad_name, sizeof bad_name, "%s/a b.tool: \"a b\" is no name for a tool", dir->path);
	assert_int_equal(tools_load(dir->path, &f, &tools), 0);
	assert_true(has_fault(&f, "", one));
	assert_true(has_fault(&f, "", two));
	assert_true(has_fault(&f, "", bad_name));
	assert_true(has_fault(&f, dir->path, "/dir.tool: not a regular file"));
	assert_int_equal(f.n, 4);
	faults_done(&f);
	(void)tools_free(tools);
}

static void
test_a_missing_folder_of_tools_is_a_fault(void **state)
{
	struct tools *tools = NULL;
	struct faults f = { NULL, 0 };
	const char *const wanted[] = { ": No such file or directory", NULL };

	(void)state;
	assert_int_equal(tools_load("/no/such/folder", &f, &tools), 0);
	assert_faults(&f, "/no/such/folder", wanted);
	assert_int_equal(tools_count(tools), 0);
	faults_done(&f);
	(void)tools_free(tools);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEMP_DIR_TEST(test_a_whole_file_is_read),
		TEMP_DIR_TEST(test_a_short_file_has_the_defaults),
		TEMP_DIR_TEST(test_a_section_without_keys_declares),
		TEMP_DIR_TEST(test_all_faults_are_told_at_once),
		TEMP_DIR_TEST(test_a_command_is_needed_and_must_be_there),
		TEMP_DIR_TEST(test_a_key_said_twice_is_a_fault),
		TEMP_DIR_TEST(test_a_single_value_is_no_list),
		TEMP_DIR_TEST(test_long_lines_and_nul_are_faults),
		TEMP_DIR_TEST(test_a_list_is_bounded),
		TEMP_DIR_TEST(test_inputs_are_bounded),
		TEMP_DIR_TEST(test_ranges_are_checked),
		TEMP_DIR_TEST(test_links_network_and_variables_are_read),
		TEMP_DIR_TEST(test_trust_jail_and_strictness_are_read),
		TEMP_DIR_TEST(test_links_that_cannot_be_are_faults),
		TEMP_DIR_TEST(test_variables_have_one_origin),
		TEMP_DIR_TEST(test_what_is_not_served_is_never_ignored),
		TEMP_DIR_TEST(test_kinds_of_parameters_are_checked_at_their_lines),
		TEMP_DIR_TEST(test_a_name_is_never_cut),
		TEMP_DIR_TEST(test_a_folder_of_tools_is_read_by_name),
		TEMP_DIR_TEST(test_faults_of_all_tools_are_told_at_once),
		cmocka_unit_test(test_a_missing_folder_of_tools_is_a_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
