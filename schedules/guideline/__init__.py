"""The guideline: from what was recorded about a patient to what is due and what needs a decision. It is pure.

Read in this order: `protocol` (the numbers), `facts`, `stages`, `lesion`, `symptoms`, `hip` (what is derived),
`pathways` and `windows` (when), `rules` and `raising` (what is asked), `timed` and `findings` (on which days), and
`evaluation`, which puts them together. `reading`, `writing` and `stream` speak JSON. docs/guideline.md is the text.
"""
