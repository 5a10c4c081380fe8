"""What the figures of the lessons show, for readers who cannot see them.

{number of the notebook, a slash, name of the figure: a sentence}
"""

ALT_TEXTS = {
    "01/captions": (
        "Three test images, each with its captions beside it: they agree on the kind of scene and differ in "
        "the detail that each one notices."
    ),
    "01/classes": (
        "A grid of training images, one of each scene class with its name above: some classes show an object "
        "of their own, others differ in layout or texture alone."
    ),
    "01/lengths": (
        "Histogram of the words in a caption: most are short sentences, few have more than twice the mean, "
        "which is a dashed line."
    ),
    "01/words": ("Bars of the most frequent content words, falling steeply: a few words make up much of all captions."),
    "01/shared": (
        "Bars of the captions that most test images share: general sentences about a class, which fit many of"
        " its images equally well."
    ),
    "02/image-image": (
        "Left: cosines of all images, ordered by class; bright squares on the diagonal are classes kept "
        "together, bright ones off it classes mixed up. Right: pairs of one class lie further to the right "
        "than pairs of two, and both overlap."
    ),
    "02/text-text": (
        "Left: cosines of all captions, ordered by class, with bright squares along the diagonal. Right: "
        "pairs of one class lie further to the right than pairs of two, and some reach a cosine of one, where"
        " captions repeat."
    ),
    "02/cross": (
        "Left: cosines of images and captions, with weaker squares than within a modality. Right: true pairs "
        "lie furthest to the right, and wrong captions of the same class close behind."
    ),
    "02/familiar-pictures": (
        "Six drawn views from above in the style of the pre-training world: the same kind of view as in this data set, "
        "in other colours and outlines."
    ),
    "02/nearest": (
        "Images of a batch, each above the other image of its batch that CLIP finds most alike: some are of "
        "one class, others share a colour or a texture only."
    ),
    "02/hardest": (
        "Histogram of the gap between the true pair and the hardest negative of its batch for each set, with "
        "a line at the margin: left of the line the hinge pushes, left of zero the negative wins."
    ),
    "02/hardest-negatives": (
        "Five images, each with its own caption and the caption of its batch that CLIP prefers: most of the "
        "preferred ones describe another scene."
    ),
    "02/natural": (
        "Twelve of the pictures that stand for natural images: seen from the side and unlike each other in "
        "subject, colour and background."
    ),
    "02/natural-overhead": (
        "Histograms of the cosines of all pairs, natural beside overhead: how far the two kinds lie apart, "
        "for images and, where there are any, for captions."
    ),
    "02/familiar": (
        "Histograms of image-image cosines of three sets: where the views from above in a familiar style lie,"
        " between the natural images and this data set."
    ),
    "03/diagram": (
        "Left: a residual block; the adapter stands beside the MLP, takes the stream before the second "
        "LayerNorm and adds to it behind the MLP. Right: inside the adapter, a down-projection and an up-"
        "projection for each modality, and between them one up-projection that both share."
    ),
    "03/budget": (
        "Trained parameters on ViT-B/32 as dots on a logarithmic axis: MRS-Adapter has the fewest, the linear"
        " probe several times as many, full fine-tuning about a thousand times."
    ),
    "03/hmmc": (
        "Three cosine matrices of one batch. Between images and captions the framed diagonal hardly stands "
        "out, and marked negatives come close to it; between inputs and their dropped copies the diagonal is "
        "bright, and fewer negatives come close."
    ),
    "03/live": (
        "Three panels over the epochs of the live run: which loss part is the largest and falls, validation "
        "mR with a star at the chosen epoch, and whether images and captions move apart or together among "
        "themselves."
    ),
    "03/methods": (
        "Bars of test mR, one per method, with a dot for each seed: the order of the methods, and whether the"
        " gaps between them are wider than the spread of the dots."
    ),
    "03/curves": (
        "Validation mR over the epochs, a line for each seed: all methods rise steeply at first; those still "
        "rising at the last epoch were stopped early."
    ),
    "04/text-to-image": (
        "Five captions with the five images found for each; the right one has a solid green frame, the others"
        " a dashed red one. Most wrong images show what the caption says, too."
    ),
    "04/image-to-text": (
        "Four images with the five captions found for each: own captions are ticked and bold; some of the "
        "others describe the image just as well."
    ),
    "04/pairs": (
        "Two panels of histograms, before and after: true pairs, pairs of one class and pairs of two. Before, the "
        "three overlap; after, true pairs are about where they were, and pairs of two classes far to the left."
    ),
    "04/failures": (
        "The five captions whose own image is ranked lowest, each with that image and the three that came "
        "first: some of these fit the caption, others are plain errors."
    ),
    "04/query": (
        "The five images found for the query, by zero-shot CLIP above and with the adapter below: whether "
        "they show what was asked, and where the two models differ."
    ),
    "04/tsne": (
        "Two t-SNE maps of images and captions, before and after adaptation, eight classes in colour: whether"
        " images and captions form separate islands, or each class's captions surround its images."
    ),
    "04/intra-modal": (
        "Histograms of image-image and text-text cosines before and after adaptation: whether training moves "
        "them to the left, which spreads the embeddings, or to the right."
    ),
    "04/live": (
        "Three panels over the epochs of the live run: which loss part is the largest and falls, validation "
        "mR with a star at the chosen epoch, and whether images and captions move apart or together among "
        "themselves."
    ),
    "04/confusions": (
        "Bars of the most frequent confusions, as class asked for and class found first: pairs of classes "
        "that share ground, colour or texture from above."
    ),
    "05/families": (
        "One tower of CLIP from tokens to embedding: prompts enter at its foot and ahead of each block, "
        "adapters stand behind or beside attention and MLP, weight changes sit inside, and heads come after "
        "the last step."
    ),
    "05/coverage": (
        "Two panels of bars for intervals from images alone, seeds alone, and both: how often they hold the "
        "truth, and how often they see a true difference."
    ),
    "05/parameters": (
        "Trained parameters on a logarithmic axis against test mR, a point per method, coloured by family: "
        "methods of about one size lie far apart in mR, so that the size says little."
    ),
    "05/costs": (
        "Three panels of dots, a line per method: seconds per epoch and memory to train are lowest for the "
        "heads and differ far less between the methods than the file sizes, which span orders of magnitude."
    ),
    "05/paper": (
        "The place of each method between zero-shot CLIP and full fine-tuning, in three shaded panels from "
        "the paper, where MRS-Adapter leads, and a white one from here, to compare the order."
    ),
    "06/grid": (
        "A heat map of validation mR, bottleneck against the weight of the intra-image term, each cell with "
        "its difference from the baseline and whether it can be distinguished from noise."
    ),
    "07/time": (
        "Three rising lines, hours of one run against seconds per step, for the three data sets, with "
        "measured seconds marked: the line of UCM-Captions lies lowest, and only well under two seconds per "
        "step end all three in a day."
    ),
    "07/rehearsal": (
        "A panel for zero-shot CLIP and one for MRS-Adapter with each recall as a point: with random weights "
        "the points lie about where guessing puts them, and prove only that every step ran."
    ),
    "07/beside": (
        "Two panels with the recalls printed in the paper as diamonds and ours as points; the rehearsal's "
        "points lie near guessing and far from the diamonds, as random weights must."
    ),
    "08/scales": (
        "Histograms of the cosines between images and between words and images, for each model: whether the "
        "two kinds have the same mean and the same width."
    ),
    "08/answers": (
        "A query image with words and three rows of images found for it, by the image alone, by both and by "
        "the words alone; right answers have a solid green frame, the others a dashed red one."
    ),
    "08/lambda": (
        "Mean average precision on the test part against the weight of the words, a line for each model, with"
        " a mark at the weight that was chosen on the validation part."
    ),
    "08/ways": (
        "Mean average precision against the weight of the words under four normalisations, one panel per "
        "model, with a mark at the weight chosen on the validation part for each."
    ),
    "08/kinds": (
        "Bars of mean average precision by the kind of change, for the image alone, the words alone and both "
        "mixed, one panel per model, with the number of queries of each kind."
    ),
    "09/tokens": (
        "Histogram of the tokens of a caption: most need far fewer than the places that the text tower computes."
    ),
    "09/waterfall": (
        "Two staircases of bars, from the published training step down to rsnb's: what each saving takes off "
        "the seconds and off the megabytes kept; some save one of the two only."
    ),
    "09/vit": (
        "Two staircases of bars for ViT-B/32: cut captions and bf16 take the largest pieces off the time, cut"
        " captions and keeping less the largest off the memory."
    ),
    "09/account": (
        "Bars of a step's time by kind of work: matrix products at the machine's best rate take most of it, "
        "casts and copies, the adapter in fp32 and the small products of attention a few percent each."
    ),
    "10/epoch-choice": (
        "Validation and test mR of a linear probe over forty epochs; the epoch that test would choose and the"
        " one that validation chooses are marked, each with its test mR."
    ),
    "10/shown-and-honest": (
        "For each broken suspect the mR that it printed and the honest one after the repair, joined by a "
        "line: some bugs flatter, some cost, and one leaves mR where it was."
    ),
    "11/means": (
        "Printed minus recomputed mean recall for every row of the three tables: almost all lie within the "
        "band that rounding explains, and the few rows outside it are named with both numbers."
    ),
    "11/possible": (
        "For each data set and kind of method, the share of printed recalls that can be counts over the test "
        "split, beside the share that luck would give: traditional methods are far above luck on UCM and "
        "RSITMD, prompts and adapters are at luck."
    ),
    "11/images": (
        "Share of image-to-text recalls that could be counts over N images, for each N near the stated size: "
        "sharp peaks at the stated size for UCM and RSITMD, and beside it for the traditional methods on "
        "RSICD; prompts and adapters have no peak."
    ),
    "11/ceilings": (
        "Ceiling of each of the six recalls on the three test splits as bars, with the best printed row as "
        "dots: on UCM the ceilings at rank 1 are below half, on the two larger sets they are near 100, and "
        "all dots stay below."
    ),
    "11/epochs": (
        "Gain in test mR from choosing the epoch on test instead of validation, a dot per run; and the same "
        "choice made by a random half of the test images, on the half that chose and on the half that did "
        "not."
    ),
    "12/scene": (
        "A scene in a grid of square places seen from above, those of one kind near each other, such as harbors and "
        "rivers, fields and woods, houses and sports grounds; white lines show where it is cut."
    ),
    "12/map": (
        "Two maps of the scene's tiles, zero-shot and with adapter, shaded by cosine with its number in each tile; the "
        "ten best are outlined and numbered, true places framed in red: with the adapter more of the outlined ones are "
        "framed."
    ),
    "12/classes": (
        "A line for each class from zero-shot's share of right tiles among the first to the adapter's: most lines go "
        "to the right, some by more than half the scale, few stay where they are."
    ),
    "12/foreign": (
        "A panel for each model with two rows of ticks, the best cosines of foreign sentences and of sentences that "
        "have an answer: the rows overlap with both models, and two nonsense sentences are marked among "
        "the foreign ones."
    ),
    "12/cuts": (
        "The four best tiles for one sentence in three cuts: whole places where the cut fits, corners of four places "
        "where it is shifted, and nearly whole places again with half an overlap."
    ),
    "12/threshold": (
        "Above: F1 of every threshold in the whole scene, with the scores of right and wrong tiles below the curve. "
        "Below: a histogram of the thresholds that other draws of ten labels choose, spread over a wide range around "
        "the best."
    ),
    "12/live": (
        "Three panels over the epochs of the training on the own tiles: which loss part is the largest and falls, "
        "validation mR with a star at the chosen epoch, and whether images and captions move apart or together."
    ),
    "13/turns": (
        "One image from above eight times, in four quarter turns and as their mirror images, with its cosine to its "
        "own caption above each: the numbers differ somewhat from turn to turn."
    ),
    "13/luck": (
        "Three rows of dots on a scale of validation mR: thirteen recipes with one run each, the winner a star at the "
        "right end; the winning recipe run again, its dots and their mean to the left of the star; and ten runs of "
        "the final recipe, with a dashed line for what the best of thirteen would reach by luck."
    ),
    "13/parts": (
        "Two panels with a row for each part: the difference in validation mR, with its interval, when the part is "
        "added to the paper's method, and when it is left out of the recipe. Most intervals cross zero. Some parts add "
        "little on the left and cost something on the right; three harm on the left."
    ),
    "13/steps": (
        "Bars from the paper's method to the recipe, one below the other, each beginning where the one above ends, all "
        "to the right: two long ones first, then short ones; the two before the last end near the dashed line of full "
        "fine-tuning as in the benchmark, the last one beyond it."
    ),
    "13/corners": (
        "Dots for each seed of five ways to train: MRS-Adapter with HMMC as in the benchmark far left, the recipe "
        "right of the dashed line of full fine-tuning as in the benchmark, full fine-tuning with the recipe farthest "
        "right."
    ),
    "13/budget": (
        "A curve of validation mR over the number of trainable parameters on a logarithmic scale, from a quarter to "
        "eight times the budget of the paper, with lines for full fine-tuning as in the benchmark and with the recipe."
    ),
    "13/kept": (
        "A line for each model from its mR on natural pictures to its mR on the toy world: zero-shot goes from high "
        "to low, all adapted ones the other way; the three with the recipe keep much less than the two as in the "
        "benchmark."
    ),
    "13/between": (
        "Two curves over the share of the way from zero-shot to adapted weights: mR on the data rises, mR on natural "
        "pictures falls, and falls most in the second half."
    ),
    "13/carried": (
        "A panel for each other data set with dots for each seed of four ways to train, and a dashed line at full "
        "fine-tuning as in the benchmark."
    ),
}
