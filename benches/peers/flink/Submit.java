import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.DeploymentOptions;
import org.apache.flink.configuration.GlobalConfiguration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableEnvironment;

/** Submits the tables and the INSERTs of a file as one job: Submit CONFIGURATION_FOLDER FILE. */
public class Submit {
    public static void main(String[] arguments) throws Exception {
        Configuration configuration = GlobalConfiguration.loadConfiguration(arguments[0]);
        configuration.set(DeploymentOptions.TARGET, "remote");
        TableEnvironment tables = TableEnvironment.create(
                EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
        StatementSet inserts = tables.createStatementSet();
        for (String statement : Files.readString(Path.of(arguments[1])).split(";\n")) {
            if (statement.strip().startsWith("INSERT")) {
                inserts.addInsertSql(statement);
            } else if (!statement.isBlank()) {
                tables.executeSql(statement);
            }
        }
        inserts.execute();
    }
}
