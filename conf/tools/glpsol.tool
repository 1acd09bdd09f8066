# The solver of the GNU Linear Programming Kit: Debian's package glpk-utils.
[tool]
title = Linear and integer programs
description =
	Solves a linear or mixed integer program with GLPK's glpsol
	and writes solution.txt.
version = GLPK 5.0
command =
	glpsol
	--{format}
	problem
	--tmlim
	{seconds}
	{relaxed}
	--output
	solution.txt
# It only computes: after a crash of the host it may simply run again.
twice = yes
kill-grace = 1s
keep = 7d

[parameter format]
description = what the file problem is written in
type = choice
choices =
	lp
	freemps
	math
default = lp

[parameter seconds]
description = the best solution found by then is written
type = integer
min = 1
max = 100
default = 60

[parameter relaxed]
description = take integer variables as continuous
type = boolean
true = --nomip

[input problem]
max = 16M

[limits]
wall = 120s
memory = 1G
processes = 4
output = 64M
output-files = 8
log = 4M
