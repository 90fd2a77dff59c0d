// One node of OpenSearch with HTTP on the loopback interface, from the jars of Maven: the archive of it is not among them.
import java.util.List;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

public class opensearch {
  private static final class Single extends Node {
    Single(Environment environment) {
      super(environment, List.of(Netty4Plugin.class), false);
    }
  }

  public static void main(String[] args) throws Exception {
    Settings settings = Settings.builder()
        .put("path.home", args[2])
        .put("path.data", args[2] + "/data")
        .put("path.logs", args[2] + "/logs")
        .put("cluster.name", "logboom-engines")
        .put("discovery.type", "single-node")
        .put("network.host", "127.0.0.1")
        .put("http.port", args[0])
        .put("transport.port", args[1])
        .put("http.type", "netty4")
        .put("transport.type", "netty4")
        .put("cluster.routing.allocation.disk.threshold_enabled", false)
        .put("node.max_local_storage_nodes", 1)
        .build();
    Environment environment =
        InternalSettingsPreparer.prepareEnvironment(settings, java.util.Map.of(), null, () -> "logboom");
    new Single(environment).start();
    Thread.currentThread().join();
  }
}
