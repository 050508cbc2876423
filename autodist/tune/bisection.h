// The smallest number of blocks for which communication ends before the product, with few
// questions.
#ifndef AUTODIST_TUNE_BISECTION_H_
#define AUTODIST_TUNE_BISECTION_H_

#include <map>
#include <vector>

namespace autodist::tune {

// A ratio falls from above 1 to at most 1 somewhere on [min, max], about as 1 / number; the
// smallest number with a ratio of at most 1 is sought. What to ask next, given the ratios so far;
// nothing when that number is known, or max has a ratio above 1.
//
// The first questions are `guess` and the number below it, which suffice when the guess is right.
// Until both kinds of answers have occurred, the next question is where a ratio that falls as 1 /
// number would reach 1; after that, where it does on the line (in logarithms) between the two
// answers beside it, and every third question halves what is left, so that there are never more
// than some log2(max - min). Answers that contradict each other (noise) end the search beside one
// of the changes. Ratios are positive; infinity stands for a failed case. REQUIRES min <= guess <=
// max.
std::vector<int> NextQuestions(int min, int max, int guess, const std::map<int, double>& ratios);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_BISECTION_H_
