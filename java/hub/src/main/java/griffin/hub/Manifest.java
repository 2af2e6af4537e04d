package griffin.hub;

import griffin.error.InvalidRequestException;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * What was fetched, in a file beside it.
 *
 * @param name   the model
 * @param hub    address of the hub it comes from
 * @param commit the commit it was fetched at
 * @param pulled when
 * @param files  its files
 */
record Manifest(ModelName name, String hub, String commit, Instant pulled, List<HubFile> files) {

    /** Hidden, so that it is no file of the model. */
    static final String FILE = ".griffin.json";

    private static final int MOST_BYTES = 16 << 20;

    void write(Path folder) throws IOException {
        StringWriter text = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(ObjectWriteContext.empty(), text)) {
            json.writeStartObject();
            json.writeStringProperty("name", name.toString());
            json.writeStringProperty("hub", hub);
            json.writeStringProperty("commit", commit);
            json.writeStringProperty("pulled", pulled.toString());
            json.writeArrayPropertyStart("files");
            for (HubFile file : files) {
                json.writeStartObject();
                json.writeStringProperty("name", file.name());
                json.writeNumberProperty("bytes", file.bytes());
                json.writeStringProperty("checksum", file.checksum().hex());
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        StoreFiles.write(folder.resolve(FILE), text + "\n");
    }

    /** The manifest of a folder; empty where there is none that can be read. */
    static Optional<Manifest> read(Path folder) {
        try (InputStream in = Files.newInputStream(folder.resolve(FILE))) {
            Map<String, Object> json = HubJson.object(in.readNBytes(MOST_BYTES)).orElse(Map.of());
            List<HubFile> files = new ArrayList<>();
            for (Map<String, Object> file : HubJson.objects(json, "files")) {
                files.add(new HubFile(HubJson.string(file, "name").filter(HubFile::isPlain).orElseThrow(), HubJson.integer(file, "bytes")
                        .orElseThrow(), HubJson.string(file, "checksum").flatMap(Checksum::of).orElseThrow()));
            }
            return Optional.of(new Manifest(ModelName.parse(HubJson.string(json, "name").orElseThrow()),
                    HubJson.string(json, "hub").orElseThrow(), HubJson.string(json, "commit").orElseThrow(),
                    Instant.parse(HubJson.string(json, "pulled").orElseThrow()), files));
        } catch (IOException | java.util.NoSuchElementException | DateTimeParseException | InvalidRequestException e) {
            return Optional.empty();
        }
    }

    long bytes() {
        return files.stream().mapToLong(HubFile::bytes).sum();
    }

    /** The first file that is not in the folder with its size. */
    Optional<String> missing(Path folder) {
        for (HubFile file : files) {
            Path path = folder.resolve(file.name());
            try {
                if (!Files.isRegularFile(path) || Files.size(path) != file.bytes()) {
                    return Optional.of(file.name());
                }
            } catch (IOException e) {
                return Optional.of(file.name());
            }
        }
        return Optional.empty();
    }
}
