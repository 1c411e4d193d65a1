import com.standardwebhooks.Webhook;
import java.net.http.HttpHeaders;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

public class Verify {
  public static void main(String[] arguments) throws Exception {
    // In a servlet: the request's own headers, and its body as it came.
    var headers = Map.of(
        "webhook-id", List.of(System.getenv("webhook-id")),
        "webhook-timestamp", List.of(System.getenv("webhook-timestamp")),
        "webhook-signature", List.of(System.getenv("webhook-signature")));
    var body = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);

    // throws WebhookVerificationException
    new Webhook(System.getenv("WEBHOOK_SECRET")).verify(body, HttpHeaders.of(headers, (name, value) -> true));
    var type = Pattern.compile("\"type\":\"([^\"]*)\"").matcher(body);
    System.out.println(type.find() ? type.group(1) : "");
  }
}
