public class Example {
    public static void main(String[] args) {
        System.out.println(new griffin.error.ModelFormatException("the core answers from the " + args[0]).getMessage());
    }
}
