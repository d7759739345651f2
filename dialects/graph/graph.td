// The graph dialect, family by family.
include "dialects/graph/elementwise.td"
include "dialects/graph/shape.td"
include "dialects/graph/contract.td"
include "dialects/graph/routing.td"
include "dialects/graph/attention.td"
include "dialects/graph/control.td"
