import com.healthmarketscience.jackcess.*;
import java.io.File;

/** Writes a pipeline survey database as survey firms deliver it; synthetic data. Jackcess 4.0.5. */
public class MakeSurvey {
    public static void main(String[] args) throws Exception {
        var format = args[1].equals("mdb") ? Database.FileFormat.V2000 : Database.FileFormat.V2010;
        try (Database db = DatabaseBuilder.create(format, new File(args[0]))) {
            Table point = new TableBuilder("JSPOINT")
                .addColumn(new ColumnBuilder("物探点号", DataType.TEXT))
                .addColumn(new ColumnBuilder("特征", DataType.TEXT))
                .addColumn(new ColumnBuilder("X", DataType.DOUBLE))
                .addColumn(new ColumnBuilder("Y", DataType.DOUBLE))
                .addColumn(new ColumnBuilder("地面高程", DataType.DOUBLE))
                .addColumn(new ColumnBuilder("备注", DataType.MEMO))
                .toTable(db);
            point.addRow("001", "阀门", 2687537.854, 410413.240, 78.51, "輋𣒍村");
            point.addRow("12E3", "三通", 2687437.854, 410513.240, null, "两行\n\"备注\"");
            point.addRow("1E10", null, null, 410513.240, 78.6, null);
            Table line = new TableBuilder("JSLINE")
                .addColumn(new ColumnBuilder("起点点号", DataType.TEXT))
                .addColumn(new ColumnBuilder("终点点号", DataType.TEXT))
                .addColumn(new ColumnBuilder("管径", DataType.LONG))
                .addColumn(new ColumnBuilder("埋设日期", DataType.SHORT_DATE_TIME))
                .toTable(db);
            line.addRow("001", "12E3", 300, java.time.LocalDateTime.of(2019, 5, 6, 0, 0));
        }
    }
}
