package griffin.tokenizer;

import java.util.SplittableRandom;

/** Random strings of the kinds of text that tokenizers get wrong. */
final class RandomText {

    private static final int[][] BLOCKS = {{0x20, 0x7E}, {0xA0, 0x24F}, {0x370, 0x52F}, {0x5D0, 0x6FF}, {0x900, 0x97F}, {0xE00, 0xE7F},
        {0x1100, 0x11FF}, {0x2000, 0x27BF}, {0x3000, 0x30FF}, {0x4E00, 0x9FFF}, {0xAC00, 0xD7A3}, {0xE000, 0xF8FF}, {0xFE00, 0xFFFD},
        {0x10000, 0x1FFFF}, {0x1F300, 0x1FAFF}, {0xE0000, 0xE01EF}, {0x10FFFE, 0x10FFFF}};
    private static final String[] SNIPPETS = {"the ", "Once upon a time", " and", "ing", "public static void main(String[] args) {\n",
        "    return x;\n", "\t\tif (a != b)\r\n", "<html><table></table>", "👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "e\u0301", "a\u0308\u0323",
        "\u2581", "\u2581\u2581",
        "日本語", "שלום", "<0x41>", "<unk", "\r\n", "\n\n\n", "\u0000", "\u200B", "\uFEFF", "1234567890", "\u2028", "don't",
        "https://x.org/?q=1"};

    private final SplittableRandom random;

    RandomText(long seed) {
        random = new SplittableRandom(seed);
    }

    String next() {
        StringBuilder text = new StringBuilder();
        for (int part = random.nextInt(12); part >= 0; part--) {
            switch (random.nextInt(7)) {
                case 0 -> words(text);
                case 1, 2 -> block(text);
                case 3 -> text.append(" ".repeat(random.nextInt(1, 40)));
                case 4 -> text.append((char) random.nextInt(0x20));
                case 5 -> text.append(String.valueOf((char) random.nextInt('!', 0x7F)).repeat(random.nextInt(1, 60)));
                default -> text.append(SNIPPETS[random.nextInt(SNIPPETS.length)]);
            }
        }
        return text.toString();
    }

    private void words(StringBuilder text) {
        for (int i = random.nextInt(10); i >= 0; i--) {
            for (int c = random.nextInt(1, 9); c > 0; c--) {
                text.append((char) random.nextInt('a', 'z' + 1));
            }
            text.append(' ');
        }
    }

    private void block(StringBuilder text) {
        int[] block = BLOCKS[random.nextInt(BLOCKS.length)];
        for (int i = random.nextInt(20); i >= 0; i--) {
            text.appendCodePoint(random.nextInt(block[0], block[1] + 1));
        }
    }
}
