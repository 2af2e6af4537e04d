/**
 * From text to token ids and back: the reader of {@code tokenizer.json}, byte-pair encoding with byte fallback,
 * incremental decoding, and the turn form of chat models.
 */
package griffin.tokenizer;
