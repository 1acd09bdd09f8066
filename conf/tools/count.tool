# How many words a text has.
[tool]
title = Count words
command =
	wc
	-w
	text.txt
stdout = apart
twice = yes

[input text.txt]
max = 10M

[limits]
wall = 10s
