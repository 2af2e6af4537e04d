package griffin.server.clients;

import static griffin.server.clients.Served.ASK;
import static griffin.server.clients.Served.MODEL;
import static griffin.server.clients.Served.MOST;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.UnauthorizedException;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.completions.Completion;
import com.openai.models.completions.CompletionCreateParams;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** OpenAI's own SDK for Java against the server. */
class OpenAiSdkTest {

    private static final String KEY = "a key";
    private static Served served;
    private static OpenAIClient client;

    @BeforeAll
    static void start() {
        served = new Served(KEY);
        client = OpenAIOkHttpClient.builder().baseUrl(served.url() + "/v1").apiKey(KEY).maxRetries(0).build();
    }

    @AfterAll
    static void stop() {
        client.close();
        served.close();
    }

    private static ChatCompletionCreateParams.Builder chat() {
        return ChatCompletionCreateParams.builder().model(MODEL).addUserMessage(ASK).temperature(0.0).maxCompletionTokens(MOST);
    }

    @Test
    void chats() {
        ChatCompletion answer = client.chat().completions().create(chat().build());
        assertEquals(served.library(ASK).text(), answer.choices().getFirst().message().content().orElseThrow());
        assertEquals(ChatCompletion.Choice.FinishReason.LENGTH, answer.choices().getFirst().finishReason());
        assertEquals(MOST, answer.usage().orElseThrow().completionTokens());
        assertEquals(MODEL, answer.model());
        answer.validate();
    }

    @Test
    void streamsChats() {
        ChatCompletionCreateParams params =
                chat().streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build()).build();
        try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions().createStreaming(params)) {
            List<ChatCompletionChunk> chunks = stream.stream().toList();
            chunks.forEach(ChatCompletionChunk::validate);
            String text = chunks.stream().flatMap(chunk -> chunk.choices().stream()).flatMap(choice -> choice.delta().content().stream())
                    .collect(Collectors.joining());
            assertEquals(served.library(ASK).text(), text);
            assertEquals(MOST, chunks.getLast().usage().orElseThrow().completionTokens());
        }
    }

    @Test
    @SuppressWarnings("deprecation") // the field seed is
    void hasChoicesSeedsAndLogprobs() {
        ChatCompletion answer = client.chat().completions()
                .create(chat().temperature(0.8).seed(5).n(2).logprobs(true).topLogprobs(2).stop("zebra").build());
        answer.validate();
        assertEquals(2, answer.choices().size());
        var tokens = answer.choices().getFirst().logprobs().orElseThrow().content().orElseThrow();
        assertEquals(2, tokens.getFirst().topLogprobs().size());
        assertEquals(answer.choices().getFirst().message().content().orElseThrow(),
                tokens.stream().map(token -> token.token()).collect(Collectors.joining()));
    }

    @Test
    void completes() {
        CompletionCreateParams params =
                CompletionCreateParams.builder().model(MODEL).prompt("Once upon a time").temperature(0.0).maxTokens(MOST).build();
        String expected = served.continued("Once upon a time").text();
        assertEquals(expected, client.completions().create(params).choices().getFirst().text());
        try (StreamResponse<Completion> stream = client.completions().createStreaming(params)) {
            assertEquals(expected, stream.stream().map(chunk -> chunk.choices().getFirst().text()).collect(Collectors.joining()));
        }
    }

    @Test
    void listsModels() {
        assertEquals(List.of(MODEL), client.models().list().autoPager().stream().map(model -> model.id()).toList());
        assertEquals(MODEL, client.models().retrieve(MODEL).id());
    }

    @Test
    void understandsErrors() {
        NotFoundException unknown = assertThrows(NotFoundException.class,
                () -> client.chat().completions().create(chat().model("gpt-4").build()));
        assertEquals("model_not_found", unknown.code().orElseThrow());
        BadRequestException bad = assertThrows(BadRequestException.class,
                () -> client.chat().completions().create(chat().temperature(-3.0).build()));
        assertEquals("temperature", bad.param().orElseThrow());
        assertTrue(bad.getMessage().contains("temperature must be"), bad.getMessage());
        OpenAIClient stranger = OpenAIOkHttpClient.builder().baseUrl(served.url() + "/v1").apiKey("no").maxRetries(0).build();
        assertThrows(UnauthorizedException.class, () -> stranger.models().list());
        stranger.close();
    }
}
