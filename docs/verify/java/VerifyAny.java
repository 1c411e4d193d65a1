import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class VerifyAny {
  // body: the bytes that came, whatever they are
  static boolean isOurs(String secret, byte[] body, String id, String timestamp, String signatures) throws Exception {
    var mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.replaceFirst("^whsec_", "")), "HmacSHA256"));
    mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
    var ours = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(StandardCharsets.UTF_8);
    var isFresh = Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) < 300;
    return isFresh && Arrays.stream(signatures.split(" "))
        .anyMatch(one -> MessageDigest.isEqual(ours, one.getBytes(StandardCharsets.UTF_8)));
  }

  public static void main(String[] arguments) throws Exception {
    var body = System.in.readAllBytes();
    var environment = System.getenv();
    if (!isOurs(environment.get("WEBHOOK_SECRET"), body, environment.get("webhook-id"),
        environment.get("webhook-timestamp"), environment.get("webhook-signature"))) {
      throw new SecurityException("wrong signature");
    }
    System.out.println(body.length);
  }
}
