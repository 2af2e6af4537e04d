package griffin.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class StreamingDecoderTest {

    private final Tokenizer tokenizer = TokenizerFiles.read(TokenizerFiles.stories());

    @Test
    void textIsNeverCutInsideACharacter() {
        RandomText texts = new RandomText(3);
        for (int i = 0; i < 2_000; i++) {
            String text = texts.next();
            StreamingDecoder decoder = new StreamingDecoder(tokenizer);
            StringBuilder all = new StringBuilder();
            for (int id : tokenizer.encode(text)) {
                String part = decoder.append(id);
                if (!part.isEmpty()) {
                    assertFalse(Character.isLowSurrogate(part.charAt(0)) || Character.isHighSurrogate(part.charAt(part.length() - 1)),
                            part);
                }
                all.append(part);
            }
            assertEquals("", decoder.flush());
            assertEquals(text.replace('\u2581', ' '), all.toString());
        }
    }

    /** Half of them byte tokens, so that every kind of broken UTF-8 occurs; begun at any place. */
    @Test
    void partsOfAnyIdsJoinToTheWhole() {
        SplittableRandom random = new SplittableRandom(4);
        for (int i = 0; i < 5_000; i++) {
            int[] ids = random.ints(random.nextInt(30), 0, 2 * tokenizer.vocabularySize())
                    .map(id -> id < tokenizer.vocabularySize() ? id : 4 + id % 256).toArray();
            int from = ids.length == 0 ? 0 : random.nextInt(ids.length);
            boolean special = random.nextBoolean();
            StreamingDecoder decoder = new StreamingDecoder(tokenizer, special);
            StringBuilder all = new StringBuilder();
            for (int k = from; k < ids.length; k++) {
                decoder.append(ids[k], all);
            }
            decoder.flush(all);
            assertEquals(tokenizer.decode(ids, from, ids.length, special), all.toString());
        }
    }

    @Test
    void aCharacterComesWithItsLastByte() {
        StreamingDecoder decoder = new StreamingDecoder(tokenizer);
        assertEquals("", decoder.append(4 + 0xF0));
        assertEquals("", decoder.append(4 + 0x9F));
        assertEquals("", decoder.append(4 + 0x90));
        assertEquals("🐻", decoder.append(4 + 0xBB));
        assertEquals("A", decoder.append(4 + 'A'));
        assertEquals("", decoder.append(4 + 0xE5));
        assertEquals("\uFFFD", decoder.flush());
        assertEquals("", decoder.flush());
    }
}
