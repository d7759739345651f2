// Elementwise operators. Shapes broadcast as NumPy's do (the graph dialect's do not: graph.broadcast is
// inserted); types must agree.
#pragma once
#include "frontends/dsl/tensor.h"

namespace weft {

// NumPy's rule: shapes are aligned at their last dimensions, and a dimension of 1 is repeated.
Tensor broadcast_to(Arg x, const Shape &shape);

// A constant of one value everywhere.
Tensor full(const Shape &shape, double value, DType dtype = DType::f32, Caller at = {});

Tensor operator-(Arg x);
Tensor exp(Arg x);
Tensor log(Arg x); // natural
Tensor sqrt(Arg x);
Tensor rsqrt(Arg x);
Tensor tanh(Arg x);
Tensor sigmoid(Arg x);
Tensor sin(Arg x); // radians
Tensor cos(Arg x);
Tensor abs(Arg x);

Tensor operator+(Operand a, Operand b);
Tensor operator-(Operand a, Operand b);
Tensor operator*(Operand a, Operand b);
Tensor operator/(Operand a, Operand b);
Tensor max(Operand a, Operand b);
Tensor min(Operand a, Operand b);
// a^b for a > 0
Tensor pow(Operand a, Operand b);

// bool tensors
Tensor operator==(Operand a, Operand b);
Tensor operator!=(Operand a, Operand b);
Tensor operator<(Operand a, Operand b);
Tensor operator<=(Operand a, Operand b);
Tensor operator>(Operand a, Operand b);
Tensor operator>=(Operand a, Operand b);
Tensor operator&(Arg a, Arg b);
Tensor operator|(Arg a, Arg b);

// a where the condition (bool) holds, else b; all three broadcast.
Tensor where(Arg condition, Operand a, Operand b);

// Converts the element type; float to integer truncates towards zero, f32 to bf16 rounds to nearest, ties to
// even.
Tensor cast(Arg x, DType element);

// The same value, through which no gradient flows.
Tensor stop_gradient(Arg x);

// x sigmoid(x)
Tensor silu(Arg x);

} // namespace weft
