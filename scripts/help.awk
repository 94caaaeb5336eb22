# The targets and variables of makefiles, each with the `## ` line above it:  awk -f scripts/help.awk Makefile
# With -v asked="profile …" only the variables that those names may stand for: whose name, in capitals, or whose
# description begins so.
/^## / { text = substr($0, 4); next }
text && match($0, /^[a-z-]+:/) { targets = targets row("make " substr($0, 1, RLENGTH - 1), text) }
text && /^[A-Z_]+ *\?=/ {
  split($0, part, / *\?= */)
  variables = variables row(part[1], text (part[2] ? " [" part[2] "]" : ""))
  if (asked != "" && meant(part[1], text)) close_names = close_names " " part[1]
}
{ text = "" }

function row(name, text) { return sprintf("  %-20s %s\n", name, text) }

function meant(name, text,   i, count, words, first) {
  count = split(asked, words, " ")
  first = text; sub(/[^a-zA-Z].*/, "", first)
  for (i = 1; i <= count; i++)
    if (toupper(words[i]) == name || tolower(words[i]) == first || index(tolower(words[i]), first) == 1) return 1
  return 0
}

END {
  if (asked != "") { if (close_names) printf "did you mean%s?", close_names }
  else printf "%s\nvariables, such as make reproduce P=smoke, and [their defaults]\n%s", targets, variables
}
