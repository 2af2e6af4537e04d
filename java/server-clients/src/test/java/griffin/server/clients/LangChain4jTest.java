package griffin.server.clients;

import static griffin.server.clients.Served.ASK;
import static griffin.server.clients.Served.MODEL;
import static griffin.server.clients.Served.MOST;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.ollama.OllamaChatModel;
import dev.langchain4j.model.ollama.OllamaLanguageModel;
import dev.langchain4j.model.ollama.OllamaModels;
import dev.langchain4j.model.ollama.OllamaStreamingChatModel;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** LangChain4j against the server, by both interfaces. */
class LangChain4jTest {

    private static Served served;

    @BeforeAll
    static void start() {
        served = new Served(null);
    }

    @AfterAll
    static void stop() {
        served.close();
    }

    private static OpenAiChatModel.OpenAiChatModelBuilder openAi() {
        return OpenAiChatModel.builder().baseUrl(served.url() + "/v1").apiKey("none").modelName(MODEL).temperature(0.0).maxTokens(MOST)
                .maxRetries(0);
    }

    private static OllamaChatModel.OllamaChatModelBuilder ollama() {
        return OllamaChatModel.builder().baseUrl(served.url()).modelName(MODEL).temperature(0.0).numPredict(MOST).maxRetries(0);
    }

    /** A whole conversation, sent anew each time as these clients do. */
    private static void converse(ChatModel model) {
        ChatResponse first = model.chat(UserMessage.from(ASK));
        assertEquals(served.library(ASK).text(), first.aiMessage().text());
        assertEquals(MOST, first.tokenUsage().outputTokenCount());
        ChatResponse second = model.chat(UserMessage.from(ASK), AiMessage.from(first.aiMessage().text()), UserMessage.from("Go on."));
        assertTrue(second.tokenUsage().inputTokenCount() > first.tokenUsage().totalTokenCount());
    }

    private static String streamed(StreamingChatModel model) throws Exception {
        StringBuilder text = new StringBuilder();
        CompletableFuture<ChatResponse> done = new CompletableFuture<>();
        model.chat(ASK, new StreamingChatResponseHandler() {
            @Override
            public void onPartialResponse(String piece) {
                text.append(piece);
            }

            @Override
            public void onCompleteResponse(ChatResponse response) {
                done.complete(response);
            }

            @Override
            public void onError(Throwable error) {
                done.completeExceptionally(error);
            }
        });
        ChatResponse response = done.get(60, TimeUnit.SECONDS);
        assertEquals(text.toString(), response.aiMessage().text());
        assertEquals(MOST, response.tokenUsage().outputTokenCount());
        return text.toString();
    }

    @Test
    void openAiChats() {
        converse(openAi().build());
    }

    @Test
    void openAiStreams() throws Exception {
        assertEquals(served.library(ASK).text(), streamed(OpenAiStreamingChatModel.builder().baseUrl(served.url() + "/v1").apiKey("none")
                .modelName(MODEL).temperature(0.0).maxTokens(MOST).build()));
    }

    @Test
    void ollamaChats() {
        converse(ollama().build());
    }

    @Test
    void ollamaStreams() throws Exception {
        assertEquals(served.library(ASK).text(), streamed(OllamaStreamingChatModel.builder().baseUrl(served.url()).modelName(MODEL)
                .temperature(0.0).numPredict(MOST).build()));
    }

    @Test
    void ollamaGenerates() {
        OllamaLanguageModel model =
                OllamaLanguageModel.builder().baseUrl(served.url()).modelName(MODEL).temperature(0.0).numPredict(MOST).build();
        assertEquals(served.library(ASK).text(), model.generate(ASK).content());
    }

    @Test
    void ollamaDescribesModels() {
        OllamaModels models = OllamaModels.builder().baseUrl(served.url()).build();
        assertEquals(MODEL, models.availableModels().content().getFirst().getName());
        assertEquals(MODEL, models.runningModels().content().getFirst().getName());
        assertEquals("griffin", models.modelCard(MODEL).content().getDetails().getFamily());
    }

    /** A header names the session; the conversation that is sent again is then not read again. */
    @Test
    void aHeaderKeepsTheState() {
        ChatModel model = openAi().customHeaders(Map.of("X-Griffin-Session", "langchain")).build();
        ChatResponse first = model.chat(UserMessage.from(ASK));
        ChatResponse second = model.chat(UserMessage.from(ASK), AiMessage.from(first.aiMessage().text()), UserMessage.from("Go on."));
        assertEquals(served.library(ASK, "Go on.").text(), second.aiMessage().text());
    }
}
