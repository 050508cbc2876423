// Arrangements of the AMX tiles for the product of a matrix A of bf16 and a matrix B of bf16 pairs.
// Included in the target region of AMX.
//
// A tile is 16 rows of 64 bytes: 16 x 32 elements of A, 16 pairs of inputs x 16 columns of B, or 16
// x 16 sums. Two arrangements of the eight tiles:
//   wide:    17 to 32 rows x 32 columns; sums in 0 to 3, A in 4 and 5, B in 6 and 7
//   narrow:  1 to 16 rows x 64 columns; sums in 0 to 3, A in 4, B in 5 to 7
// Every sum is the same chain over the inputs in both, so a row's bits do not depend on the other
// rows.

constexpr int64_t kTileRows = 16;
constexpr int64_t kTileInputs = 32;

// The shapes that this thread's tiles have now. Setting them clears the tiles and costs about a
// tile product.
class TileShapes {
 public:
  TileShapes() = default;
  ~TileShapes() { _tile_release(); }
  TileShapes(const TileShapes&) = delete;
  TileShapes& operator=(const TileShapes&) = delete;

  // For 1 to 32 rows of A: the narrow arrangement up to 16, else the wide one.
  void Set(int64_t rows) {
    if (rows == rows_) return;
    rows_ = rows;
    const auto upper = static_cast<uint8_t>(rows < kTileRows ? rows : kTileRows);
    const auto lower = static_cast<uint8_t>(rows - upper);
    const bool wide = lower > 0;
    const uint8_t tile_rows[8] = {upper,
                                  upper,
                                  wide ? lower : upper,
                                  wide ? lower : upper,
                                  upper,
                                  wide ? lower : uint8_t{kTileRows},
                                  kTileRows,
                                  kTileRows};
    Configuration configuration;
    for (int tile = 0; tile < 8; ++tile) {
      configuration.rows[tile] = tile_rows[tile];
      configuration.column_bytes[tile] = 64;
    }
    // g++'s intrinsic names only the first bytes as its input: keep the stores above before it.
    __asm__ volatile("" : : "r"(&configuration) : "memory");
    _tile_loadconfig(&configuration);
  }

 private:
  struct alignas(64) Configuration {
    uint8_t palette =
        1;  // the only one there is; some virtual machines hide the CPUID leaf that says so
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t column_bytes[16] = {};
    uint8_t rows[16] = {};
  };
  int64_t rows_ = 0;
};
