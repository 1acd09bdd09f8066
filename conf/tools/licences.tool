# Looks for a text in files of the host, which the job sees by a link.
[tool]
title = Search the licences of Debian
version = 1
command =
	grep
	-r
	{ignore_case}
	--max-count={count}
	-e
	{text}
	licences/
link = licences /usr/share/common-licenses
twice = yes
keep = 1h

[parameter text]
description = a basic regular expression
required = yes
min = 1
max = 200

[parameter ignore_case]
type = boolean
true = --ignore-case

[parameter count]
description = lines of each file
type = integer
min = 1
max = 100
default = 10

[parameter language]
description = of the messages
type = choice
choices =
	C.UTF-8
	C
default = C.UTF-8
environment = LC_ALL

[limits]
wall = 20s
memory = 256M
log = 1M
