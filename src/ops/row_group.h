// Rows that are multiplied with one matrix of a stack.
#pragma once

namespace millrace {

// Rows [first_row, first_row + rows), with the stack's so-manieth matrix.
struct RowGroup {
  int matrix;
  int first_row, rows;
};

}  // namespace millrace
