#pragma once

// A small alphabet of strokes, so that pictures can carry text without a font file. Private to
// ams::video.

#include <string_view>

namespace ams::lettering {

/// Strokes of a character: groups of points, separated by blanks, each point two digits x and y. x
/// runs 0 to 4; y runs down: 0 is the top of capitals, 2 the top of small letters, 6 the base line,
/// 8 the lowest. A group of one point twice is a dot.
constexpr std::string_view strokes(char character) {
  switch (character) {
    case 'A':
      return "060110304146 0343";
    case 'B':
      return "06003041423303 3344453606";
    case 'C':
      return "4130100105163645";
    case 'D':
      return "06003041453606";
    case 'E':
      return "40000646 0333";
    case 'F':
      return "400006 0333";
    case 'G':
      return "41301001051636454323";
    case 'H':
      return "0006 4046 0343";
    case 'I':
      return "0006";
    case 'J':
      return "3035261605";
    case 'K':
      return "0006 4004 2246";
    case 'L':
      return "000636";
    case 'M':
      return "0600234046";
    case 'N':
      return "06004640";
    case 'O':
      return "103041453616050110";
    case 'P':
      return "06003041423303";
    case 'Q':
      return "103041453616050110 2446";
    case 'R':
      return "06003041423303 2346";
    case 'S':
      return "413010010213334445361605";
    case 'T':
      return "0040 2026";
    case 'U':
      return "000516364540";
    case 'V':
      return "002640";
    case 'W':
      return "0016223640";
    case 'X':
      return "0046 4006";
    case 'Y':
      return "002340 2326";
    case 'Z':
      return "00400646";
    case 'a':
      return "4332120305163645 4246";
    case 'b':
      return "0006 0312324345361605";
    case 'c':
      return "4332120305163645";
    case 'd':
      return "4046 4332120305163645";
    case 'e':
      return "04444332120305163645";
    case 'f':
      return "30201116 0232";
    case 'g':
      return "4332120305163645 4247381807";
    case 'h':
      return "0006 0312324346";
    case 'i':
      return "0206 0000";
    case 'j':
      return "121708 1010";
    case 'k':
      return "0006 3205 1436";
    case 'l':
      return "000516";
    case 'm':
      return "0206 03122326 23324346";
    case 'n':
      return "0206 0312324346";
    case 'o':
      return "123243453616050312";
    case 'p':
      return "0208 0312324345361605";
    case 'q':
      return "4248 4332120305163645";
    case 'r':
      return "0206 031232";
    case 's':
      return "4212031434453606";
    case 't':
      return "10152636 0232";
    case 'u':
      return "0205163645 4246";
    case 'v':
      return "022642";
    case 'w':
      return "0216233642";
    case 'x':
      return "0246 4206";
    case 'y':
      return "0226 4218";
    case 'z':
      return "02420646";
    case '0':
      return "103041453616050110";
    case '1':
      return "112026 1636";
    case '2':
      return "01103041420646";
    case '3':
      return "01103041423313 334445361605";
    case '4':
      return "300444 3036";
    case '5':
      return "400003334445361605";
    case '6':
      return "4130100105163645443303";
    case '7':
      return "004016";
    case '8':
      return "103041423313020110 133344453616050413";
    case '9':
      return "0516364541301001021343";
    case ' ':
      return "";
    case '.':
      return "0606";
    case ',':
      return "1607";
    case ':':
      return "0303 0606";
    case ';':
      return "1313 1607";
    case '!':
      return "0004 0606";
    case '?':
      return "01103041422324 2626";
    case '-':
      return "0333";
    case '+':
      return "0444 2226";
    case '=':
      return "0343 0545";
    case '_':
      return "0747";
    case '/':
      return "4006";
    case '\\':
      return "0046";
    case '|':
      return "0008";
    case '(':
    case '{':
      return "10010516";
    case ')':
    case '}':
      return "00111506";
    case '[':
      return "10000616";
    case ']':
      return "00101606";
    case '<':
      return "420446";
    case '>':
      return "024406";
    case '%':
      return "0010110100 3545463635 4006";
    case '#':
      return "1016 3036 0242 0444";
    case '&':
      return "46011020310405162644";
    case '*':
      return "2125 0244 0442";
    case '\'':
      return "0001";
    case '"':
      return "0001 2021";
    default:
      return "0040460600";  // a box for what the alphabet lacks
  }
}

/// Width in units of the grid. Figures are all of one width, so that changing numbers stand still.
constexpr int width(char character) {
  if (character == ' ') return 2;
  if (character >= '0' && character <= '9') return 4;
  int widest = 0;
  const std::string_view points = strokes(character);
  for (std::size_t i = 0; i + 1 < points.size();) {
    if (points[i] == ' ') {
      ++i;
      continue;
    }
    widest = points[i] - '0' > widest ? points[i] - '0' : widest;
    i += 2;
  }
  return widest;
}

}  // namespace ams::lettering
