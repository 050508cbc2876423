// Exercise 1: column- and row-parallel linear layers. parallel_linear.h says what they compute.
#include "docs/exercises/parallel_linear.h"

namespace autodist::exercises {

Matrix ColumnParallelLinear::Forward(const Matrix& x_TK) {
  // Your code: multiply, add the bias, and join the ranks' outputs if gather_output_ asks for it.
  // AllGather() puts one rank's whole matrix after the other's: think about which dim the pieces
  // have to be joined on.
  return x_TK;
}

Matrix RowParallelLinear::Forward(const Matrix& x_TK) {
  // Your code: multiply, add up over the ranks, and think about when the bias is added.
  return x_TK;
}

}  // namespace autodist::exercises
